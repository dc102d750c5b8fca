"""One trace with named dimensions serves every length; in ONNX Runtime as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lighten.models.attention.linear import windowed
from lighten.models.attention.pattern import Pattern

PATTERNS = [Pattern(8, 1), Pattern(20, 0), Pattern(5, 2, dilation=3), Pattern(6, 1, random_blocks=2, block=8)]
LENGTHS = [4, 15, 16, 17, 40, 41, 64, 333]


class _Module(torch.nn.Module):
    def __init__(self, pattern: Pattern) -> None:
        super().__init__()
        self.pattern = pattern

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return windowed(q, k, v, mask, self.pattern)


def _inputs(rows: int, n: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(n)
    q, k, v = (torch.randn(rows, 2, n, 4, generator=generator) for _ in range(3))
    mask = torch.arange(n) < torch.tensor([n] + [n * 2 // 3] * (rows - 1))[:, None]
    return q, k, v, mask


def _dimensions() -> tuple[Any, ...]:
    rows, tokens = torch.export.Dim("rows"), torch.export.Dim("tokens")
    return (*({0: rows, 2: tokens},) * 3, {0: rows, 1: tokens})


@pytest.mark.parametrize("pattern", [PATTERNS[0], *(pytest.param(p, marks=pytest.mark.slow) for p in PATTERNS[1:])])
def test_one_trace_serves_every_length(pattern: Pattern) -> None:
    program = torch.export.export(
        _Module(pattern),
        _inputs(2, 50),
        dynamic_shapes=_dimensions(),
        # As the ONNX exporter does: what the tracer cannot prove of a length is checked when it runs.
        prefer_deferred_runtime_asserts_over_guards=True,
    ).module()
    for n in LENGTHS:
        for rows in (1, 3):
            inputs = _inputs(rows, n)
            torch.testing.assert_close(program(*inputs), windowed(*inputs, pattern), atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("pattern", PATTERNS)
def test_one_graph_serves_every_length(pattern: Pattern, tmp_path: Path) -> None:
    import onnxruntime

    path = tmp_path / "attention.onnx"
    torch.onnx.export(
        _Module(pattern).eval(),
        _inputs(2, 50),
        path,
        dynamo=True,
        dynamic_shapes=_dimensions(),
        input_names=["q", "k", "v", "mask"],
        output_names=["out"],
        verbose=False,
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for n in LENGTHS:
        for rows in (1, 3):
            inputs = _inputs(rows, n)
            named = dict(zip(("q", "k", "v", "mask"), (x.numpy() for x in inputs), strict=True))
            out = torch.from_numpy(session.run(["out"], named)[0])
            torch.testing.assert_close(out, windowed(*inputs, pattern), atol=1e-4, rtol=0)


@pytest.mark.slow
def test_a_whole_model_is_traced_once() -> None:
    from tests.helpers.checkpoints import make_config
    from transformers import AutoModel

    from lighten.models.attention.apply import set_attention

    torch.manual_seed(0)
    model = AutoModel.from_config(make_config("bert", 60, attn_implementation="sdpa")).eval()
    set_attention(model, Pattern(4, 1), "LG")
    rows, tokens = torch.export.Dim("rows"), torch.export.Dim("tokens", max=48)

    def inputs(count: int, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        mask = (torch.arange(n) < torch.tensor([n] + [n * 2 // 3] * (count - 1))[:, None]).long()
        return torch.randint(4, 60, (count, n)), mask

    program = torch.export.export(
        model,
        inputs(2, 41),
        dynamic_shapes={"input_ids": {0: rows, 1: tokens}, "attention_mask": {0: rows, 1: tokens}},
        prefer_deferred_runtime_asserts_over_guards=True,
    ).module()
    for n in (5, 16, 17, 33, 48):
        batch = inputs(3, n)
        with torch.no_grad():
            found, wanted = program(*batch).last_hidden_state, model(*batch).last_hidden_state
        real = batch[1].bool()
        torch.testing.assert_close(found[real], wanted[real], atol=1e-5, rtol=0)
