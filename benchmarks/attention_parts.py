"""The parts of bench_attention.py that need no process of their own: ONNX Runtime, exactness."""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lighten.export.graph import encoder_graph
from lighten.measure.machine import memory_mb
from lighten.measure.statistics import bootstrap_interval
from lighten.models.attention.chunked import chunked
from lighten.models.attention.linear import windowed
from lighten.models.attention.pattern import Pattern
from lighten.models.attention.reference import masked_sdpa
from lighten.models.encoder import encoder_from_state, random_encoder
from lighten.models.layout import shape_of
from lighten.runtime.session import open_session
from lighten.workshop.compare_attention.kinds import build

LENGTHS = (5, 63, 64, 65, 128, 129, 300, 1000, 4096)


def runtime(
    config: dict[str, Any], lengths: list[int], window: int, rounds: int, threads: int, seed: int
) -> dict[str, Any]:
    """Time the forward pass of ONNX Runtime, windowed beside full attention, at each length."""
    import onnx

    random = np.random.default_rng(seed)
    shape = shape_of({**config, "max_position_embeddings": max(lengths)}, 2)
    full = random_encoder(config, shape, seed)
    models = {"window": replace(full, attention=(Pattern(window=window),) * shape.layers), "full": full}
    numbers: dict[str, Any] = {"runtime_rows": []}
    with tempfile.TemporaryDirectory() as place:
        sessions = {}
        for name, encoder in models.items():
            onnx.save(encoder_graph(encoder), str(Path(place) / f"{name}.onnx"))
            sessions[name] = open_session(Path(place) / f"{name}.onnx", threads, spinning=False)
        for tokens in lengths:
            scores = shape.heads * tokens * tokens * 4 / 1e6
            if (memory_mb() or 1e9) * 0.8 < 1.3 * scores:
                numbers["runtime_rows"].append({"tokens": tokens, "skipped": f"{scores:,.0f} MB of scores"})
                continue
            ids = random.integers(10, shape.vocabulary, (1, tokens), dtype=np.int64)
            feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
            times: dict[str, list[float]] = {name: [] for name in sessions}
            for turn in range(rounds + 1):
                for name in random.permutation(list(sessions)):
                    started = time.perf_counter()
                    sessions[name].run(None, feed)
                    if turn:  # the first is to warm up
                        times[name].append(time.perf_counter() - started)
            found = bootstrap_interval(np.divide(times["full"], times["window"]), np.median, seed)
            said = {"value": round(found.value, 3), "ci95": [round(found.low, 3), round(found.high, 3)]}
            numbers[f"runtime_speedup_vs_full_{tokens}"] = said
            numbers["runtime_rows"].append({"tokens": tokens, "seconds": times})
            print(f"ONNX Runtime at {tokens}: {said}", file=sys.stderr)
    return numbers


def errors(tiny: bool, seed: int) -> dict[str, Any]:
    """Compare with masked SDPA, outputs and gradients, over lengths, windows, prefixes and paddings.

    In fp32, as trained; and in fp64, where hardly any rounding is left: what differs there is another answer. Beside
    them stands how far masked SDPA in fp32 is from itself in fp64.
    """
    import torch

    lengths = (1, 9, 33) if tiny else (1, 2, 7, 8, 63, 64, 65, 127, 128, 129, 200, 513, 1024)
    windows = (1, 8) if tiny else (1, 2, 8, 16, 64, 100, 128)
    patterns = [Pattern(window=w, globals_=g) for w, g in itertools.product(windows, (0, 1, 4))]
    patterns += [Pattern(window=w, dilation=d) for w, d in itertools.product(windows, (2, 3))]
    patterns += [Pattern(window=w, random_blocks=2, block=8) for w in windows]
    made = torch.Generator().manual_seed(seed)
    worst = {f"{what}{kind}": 0.0 for kind in ("", "_fp64", "_masked_sdpa") for what in ("output", "gradient")}
    tried = 0
    for n, pattern in itertools.product(lengths, patterns):
        if pattern.globals_ > n:
            continue
        for mask in _masks(n):
            q, k, v, weight = (torch.randn(2, 2, n, 8, generator=made) for _ in range(4))
            # What stands in rows of padding is nobody's business, and so has no gradient.
            weight = weight * mask[:, None, :, None]
            expected = _with_gradients(masked_sdpa, q, k, v, mask, pattern, weight)
            exact = _with_gradients(masked_sdpa, *(x.double() for x in (q, k, v)), mask, pattern, weight.double())
            _note(worst, "_masked_sdpa", expected, exact)
            # On the CPU the one is taken for training, the other for graphs and where dropout is wanted.
            for attend in (windowed, chunked_alone):
                _note(worst, "", _with_gradients(attend, q, k, v, mask, pattern, weight), expected)
                doubled = (x.double() for x in (q, k, v))
                _note(worst, "_fp64", _with_gradients(attend, *doubled, mask, pattern, weight.double()), exact)
            tried += 1
    most = max(worst["output"], worst["gradient"])
    return {"max_abs_error": most, "max_abs_errors": worst, "patterns_tried": tried}


def _note(worst: dict[str, float], kind: str, found: tuple[Any, ...], expected: tuple[Any, ...]) -> None:
    """Keep the largest differences of outputs, which come first, and of gradients."""
    for index, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        name = f"{'gradient' if index else 'output'}{kind}"
        worst[name] = max(worst[name], float((ours - theirs).abs().max()))


def chunked_alone(q: Any, k: Any, v: Any, mask: Any, pattern: Pattern) -> Any:
    """Attend by plain tensor operations."""
    return chunked(q, k, v, mask, pattern, q.shape[-1] ** -0.5)


def _masks(n: int) -> list[Any]:
    """Return masks of two texts: both whole, one short, one that is padding but for its first token."""
    import torch

    masks = []
    for real in {(n, n), (n, max(1, n // 2)), (1, n)}:
        masks.append(torch.arange(n)[None, :] < torch.tensor(real)[:, None])
    return masks


def _with_gradients(
    attend: Any, q: Any, k: Any, v: Any, mask: Any, pattern: Pattern, weight: Any
) -> tuple[Any, Any, Any, Any]:
    leaves = [one.clone().requires_grad_() for one in (q, k, v)]
    out = attend(*leaves, mask, pattern)
    (out * weight).sum().backward()
    return out.detach() * mask[:, None, :, None], *(leaf.grad for leaf in leaves)


def other_lengths(config: dict[str, Any], lengths: list[int] | None, window: int, seed: int) -> dict[str, Any]:
    """Compare graphs with torch at lengths they were not made at, in every real token.

    The drawn one as it is served, which answers for the first token alone; the same with all states; and one traced
    at 2 x 300. The first token is global and sees all: what a window does wrong shows in the others.
    """
    import onnx
    import torch

    lengths = lengths or list(LENGTHS)
    most = max(*lengths, 300)
    model = build("window", config, most, window, seed).eval()
    settings = model.config.to_dict()
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    encoder = encoder_from_state(settings, {f"bert.{name}": value for name, value in state.items()})
    rows = []
    with tempfile.TemporaryDirectory() as place:
        onnx.save(encoder_graph(replace(encoder, head=())), str(Path(place) / "first.onnx"))
        onnx.save(_with_states(encoder), str(Path(place) / "drawn.onnx"))
        _trace(model, Path(place) / "traced.onnx")
        graphs = ("first", "drawn", "traced")
        sessions = {name: open_session(Path(place) / f"{name}.onnx", 2, spinning=False) for name in graphs}
        for tokens in lengths:
            ids, mask = _texts(tokens, int(config["vocab_size"]), seed)
            with torch.inference_mode():
                expected = model(torch.from_numpy(ids), torch.from_numpy(mask)).last_hidden_state.numpy()
            feed = {"input_ids": ids, "attention_mask": mask}
            for name, session in sessions.items():
                found = np.asarray(session.run(None, feed)[-1])
                # Of padding nothing is promised.
                gaps = found - expected[:, 0] if found.ndim == 2 else (found - expected)[mask.astype(bool)]
                rows.append({"graph": name, "tokens": tokens, "error": float(np.abs(gaps).max())})
    return {"max_abs_error_other_lengths": max(row["error"] for row in rows), "other_lengths": rows}


def _with_states(encoder: Any) -> Any:
    """Draw an encoder with the states of all tokens as its last output: those that a mean would be taken of."""
    from onnx import TensorProto, helper

    made = encoder_graph(replace(encoder, head=(), pooling="mean"))
    maker = {name: node for node in made.graph.node for name in node.output}
    states = made.graph.output[0].name
    for _ in ("Identity", "Div", "ReduceSum", "Mul"):  # from the mean up to what it is of
        states = maker[states].input[0]
    width = encoder.norm.scale.shape[0]
    made.graph.output.append(helper.make_tensor_value_info(states, TensorProto.FLOAT, ["batch", "tokens", width]))
    return made


def _texts(tokens: int, vocabulary: int, seed: int) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    ids = random.integers(min(10, vocabulary - 1), vocabulary, (3, tokens), dtype=np.int64)
    mask = (np.arange(tokens)[None, :] < np.array([tokens, max(1, tokens // 2), 1])[:, None]).astype(np.int64)
    return ids, mask


def _trace(model: Any, path: Path) -> None:
    """Export by torch's exporter, once, with named batch and length."""
    import torch

    class Hidden(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.model(input_ids, attention_mask).last_hidden_state

    ids, mask = (torch.from_numpy(one[:2]) for one in _texts(300, int(model.config.vocab_size), 0))
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens")}
    torch.onnx.export(
        Hidden().eval(),
        (ids, mask),
        str(path),
        dynamo=True,
        input_names=["input_ids", "attention_mask"],
        dynamic_shapes={"input_ids": axes, "attention_mask": axes},
        verbose=False,
    )
