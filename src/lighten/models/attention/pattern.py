"""Which tokens see which: a sliding window, a global prefix, gaps, random blocks; and which layers do so.

Sliding window and global tokens are Longformer's (Beltagy et al. 2020), gaps as well ("dilated"); random blocks are
BigBird's (Zaheer et al. 2020); layers of two kinds in turn are in both Longformer and ModernBERT.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from lighten.errors import InputError, nearest

NOTE = "lighten_attention"
"""The key in config.json under which a model keeps its pattern."""

KINDS = "LG"
"""Letters of the notation per layer: local (the pattern) and global (full attention)."""
LAYER_TYPES = {"sliding_attention": "L", "full_attention": "G"}
"""Letters by transformers' words, for models that have windows of themselves."""


@dataclass(frozen=True)
class Pattern:
    """Which keys a query sees, the same for every head.

    Attributes:
        window: tokens that a token sees on EACH side of itself.
        globals_: tokens at the beginning that see all and are seen by all.
        dilation: a window takes every so manieth token, and so reaches `dilation` times as far.
        random_blocks: blocks of keys, drawn at random, that each block of queries sees besides.
        block: tokens in such a block.
        seed: of the draw.
    """

    window: int = 128
    globals_: int = 1
    dilation: int = 1
    random_blocks: int = 0
    block: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a pattern that means nothing.

        Raises:
            InputError: a number out of its range, or dilation together with random blocks.
        """
        lowest = {"window": 1, "globals_": 0, "dilation": 1, "random_blocks": 0, "block": 1, "seed": 0}
        for name, least in lowest.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise InputError(f"{name.rstrip('_')} must be a whole number of at least {least}, not {value!r}", _AT)
        if self.dilation > 1 and self.random_blocks:
            raise InputError(
                f"dilation {self.dilation} and {self.random_blocks} random blocks exclude each other", _AT
            )

    def of_layer(self, index: int) -> Pattern:
        """Return the pattern of one layer: random blocks are drawn anew in each, so that together they reach more."""
        return replace(self, seed=self.seed + 7919 * index) if self.random_blocks else self

    @property
    def reach(self) -> int:
        """How many positions away the farthest token of the window is."""
        return self.window * self.dilation


_AT = "attention pattern"


def check(pattern: Pattern, *, tokens: int | None = None, prefix: int | None = None) -> None:
    """Refuse a pattern that does not go with its texts. A window beyond their length is allowed: full attention.

    Args:
        pattern: in question.
        tokens: the longest text.
        prefix: tokens at the beginning of every text that are the same kind (the start token, a question).

    Raises:
        InputError: more global tokens than the texts or their common beginning have.
    """
    if tokens is not None and tokens < 1:
        raise InputError(f"tokens must be at least 1, not {tokens}", _AT)
    if tokens is not None and pattern.globals_ > tokens:
        raise InputError(f"{pattern.globals_} global tokens are more than the {tokens} of the longest text", _AT)
    if prefix is not None and pattern.globals_ > prefix:
        raise InputError(f"{pattern.globals_} global tokens go beyond the prefix of {prefix}", _AT)


def per_layer(notation: str, layers: int, *, last_global: bool = False) -> tuple[str, ...]:
    """Repeat a notation over the layers: ``"LLG"`` and 5 layers give L, L, G, L, L.

    Args:
        notation: one letter per layer, of `KINDS`.
        layers: of the model.
        last_global: the last layer gets full attention whatever the notation says.

    Raises:
        InputError: an unknown letter, none at all, or no layers.
    """
    unknown = sorted(set(notation) - set(KINDS))
    if not notation or unknown:
        what = f"{unknown[0]!r}" if unknown else "nothing"
        raise InputError(f"layers {notation!r}: expected the letters L (local) and G (full), found {what}", _AT)
    if layers < 1:
        raise InputError(f"a model needs at least 1 layer, not {layers}", _AT)
    tiled = (notation * (layers // len(notation) + 1))[:layers]
    return tuple(tiled[:-1] + "G" if last_global else tiled)


def to_note(pattern: Pattern, layers: str) -> dict[str, Any]:
    """Return what config.json keeps under `NOTE`."""
    return {name.rstrip("_"): value for name, value in asdict(pattern).items()} | {"layers": layers}


def from_note(note: Any, where: str = "config.json") -> tuple[Pattern, str]:
    """Read what config.json keeps under `NOTE`: the pattern and the notation of the layers.

    Raises:
        InputError: no mapping, an unknown key or a value out of range.
    """
    if not isinstance(note, Mapping):
        raise InputError(f"{NOTE} must be a mapping, not {note!r}", where)
    known = [*to_note(Pattern(), "L")]
    unknown = [str(key) for key in note if key not in known]
    if unknown:
        raise InputError(f"{NOTE} has no key {unknown[0]!r}{nearest(unknown[0], known)}", where)
    values = {("globals_" if key == "globals" else key): value for key, value in note.items() if key != "layers"}
    layers = note.get("layers", "L")
    if not isinstance(layers, str):
        raise InputError(f"{NOTE}: layers must be letters such as 'LLG', not {layers!r}", where)
    per_layer(layers, 1)
    return Pattern(**values), layers


def sees_everything(pattern: Pattern | None) -> bool:
    """Whether the first token sees every other, whatever the others see; None is full attention."""
    return pattern is None or pattern.globals_ > 0


def is_plain(pattern: Pattern | None) -> bool:
    """Whether a window is all there is to a pattern, global tokens aside: no gaps, no random blocks."""
    return pattern is not None and pattern.dilation == 1 and not pattern.random_blocks


def own_windows(config: Mapping[str, Any], where: str = "config.json") -> tuple[Pattern, str] | None:
    """Return the windows that a ModernBERT has of itself and its layers' letters; None for other model types.

    Its ``local_attention`` counts both sides; without ``layer_types`` every so manieth layer is global.

    Raises:
        InputError: a window of no tokens, or a kind of layer that is not known.
    """
    if config.get("model_type") != "modernbert":
        return None
    width, every = config.get("local_attention", 128), config.get("global_attn_every_n_layers", 3)
    for key, value, least in (("local_attention", width, 2), ("global_attn_every_n_layers", every, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InputError(f"{key!r} must be a whole number of at least {least} but is {value!r}", where)
    kinds = config.get("layer_types") or ["full_attention"] + ["sliding_attention"] * (every - 1)
    unknown = [kind for kind in kinds if kind not in LAYER_TYPES]
    if unknown:
        raise InputError(f"layer_types: {unknown[0]!r} is not one of {', '.join(LAYER_TYPES)}", where)
    return Pattern(window=width // 2, globals_=0), "".join(LAYER_TYPES[kind] for kind in kinds)


def patterns_of(config: Mapping[str, Any], layers: int) -> tuple[Pattern | None, ...]:
    """Return the pattern of every layer of a model by its config; None where attention is full.

    A pattern that it was given comes before the windows that it has of itself.

    Args:
        config: the content of config.json.
        layers: of the model.

    Raises:
        InputError: the note in the config makes no sense.
    """
    found = own_windows(config) if config.get(NOTE) is None else from_note(config[NOTE])
    if found is None:
        return (None,) * layers
    pattern, notation = found
    return tuple(
        pattern.of_layer(index) if kind == "L" else None for index, kind in enumerate(per_layer(notation, layers))
    )
