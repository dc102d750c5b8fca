"""How near the states of an attention are to those of full attention, with the same weights on the same tokens.

It says how far a converted checkpoint is from the one it was made of before anybody trains it: where a kind starts,
not where it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lighten.errors import InputError
from lighten.workshop.compare_attention.kinds import build, inputs_for
from lighten.workshop.compare_attention.weights import LONGFORMER_OFFSET, fill, read_body

States = npt.NDArray[np.float32]


def agreement_with(full: States, other: States) -> float:
    """Return the share of the variance of full attention's states that another attention's states reproduce.

    The coefficient of determination: 1 where both are equal, 0 where the other is no nearer than one and the same
    state for every token would be, below 0 where it is further away. Unlike a cosine it is not high merely because
    the states of a model point in much the same direction.

    Args:
        full: last hidden states of one text, [tokens, hidden].
        other: of the other attention, likewise.
    """
    mean = full.mean(0, dtype=np.float64)
    spread = float(((full - mean) ** 2).sum())
    missed = float(((full.astype(np.float64) - other) ** 2).sum())
    if spread == 0:
        return 1.0 if missed == 0 else 0.0
    return 1.0 - missed / spread


def difference_from(full: States, other: States) -> float:
    """Return the norm of the difference over the norm of full attention's states."""
    size = float(np.linalg.norm(full.astype(np.float64)))
    missed = float(np.linalg.norm(full.astype(np.float64) - other))
    return missed / size if size else float(missed > 0)


def cosine(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    """Return the cosine between two states, [hidden]; 0 where one of them is nothing."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size else 0.0


def states_of(
    kind: str,
    config: Mapping[str, Any],
    body: Mapping[str, Any],
    ids: Sequence[Sequence[int]],
    window: int,
    seed: int,
) -> list[States]:
    """Return the last hidden states of each text, [tokens, hidden], computed one text at a time.

    Raises:
        InputError: the weights do not fit the kind.
    """
    import torch

    model = build(kind, config, len(ids[0]), window, seed)
    fill(model, kind, config, body)
    model.eval()
    found = []
    with torch.inference_mode():
        for text in ids:
            inputs = inputs_for(kind, config, len(text), seed)
            inputs["input_ids"] = torch.tensor([list(text)])
            if kind == "longformer":
                # Else it would take the id of its own padding token, a word to others, for padding.
                inputs["position_ids"] = torch.arange(len(text))[None] + LONGFORMER_OFFSET
            found.append(model(**inputs).last_hidden_state[0].numpy())
    return found


def agreement(request: dict[str, Any], report: Callable[[float], None]) -> dict[str, Any]:
    """Compare kinds with full attention at one length: work of `lighten.workshop.compare_attention.point`.

    The request has ``model`` (a folder), ``config``, ``kinds``, ``ids`` (texts of one length), ``window``,
    ``threads`` and ``seed``. The answer has ``kinds``: by kind ``agreement``, ``difference`` and ``first_cosine``
    (lists, one value per text), or ``refused`` with the reason; and ``first_other``: the mean cosine between the
    first states of different texts under full attention, None with one text.
    """
    import torch

    torch.set_num_threads(request["threads"])
    config, ids, window, seed = request["config"], request["ids"], request["window"], request["seed"]
    body = read_body(Path(request["model"]), config)
    full = states_of("full", config, body, ids, window, seed)
    found: dict[str, Any] = {}
    for index, kind in enumerate(request["kinds"]):
        try:
            other = states_of(kind, config, body, ids, window, seed)
        except InputError as error:
            found[kind] = {"refused": str(error)}
            continue
        pairs = list(zip(full, other, strict=True))
        found[kind] = {
            "agreement": [agreement_with(a, b) for a, b in pairs],
            "difference": [difference_from(a, b) for a, b in pairs],
            "first_cosine": [cosine(a[0], b[0]) for a, b in pairs],
        }
        report((index + 1) / len(request["kinds"]))
    apart = [cosine(a[0], b[0]) for at, a in enumerate(full) for b in full[:at]]
    return {"kinds": found, "first_other": float(np.mean(apart)) if apart else None}
