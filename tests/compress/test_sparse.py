"""Unstructured and N:M pruning."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from tests.helpers.checkpoints import KINDS, check_loads, token_batch, write_model
from transformers import AutoModelForSequenceClassification

from lighten.compress.importance import sample, task_loss
from lighten.compress.sparse_store import PACKED, unpack
from lighten.compress.sparse_training import prunable
from lighten.compress.steps import Frozen, Intermediate, Quantise, Sparsify
from lighten.errors import InputError
from lighten.export.checkpoint import graph_of
from lighten.models.checkpoint import read_config, read_state
from lighten.models.layout import names_of
from lighten.models.load import load_classifier
from lighten.pipeline import step_from_spec


def matrices(folder):
    config, state = read_config(folder), read_state(folder, leave=("frozen.safetensors",))
    names = prunable(config, names_of(config).prefix)
    return {name: state[name] for name in names}, {n: v for n, v in state.items() if n not in names}


def zeros(folder):
    found, _ = matrices(folder)
    return sum(int((v == 0).sum()) for v in found.values()), sum(v.size for v in found.values())


@pytest.mark.parametrize("kind", KINDS)
def test_one_shot_is_l1_magnitude(checkpoints, target, make_context, kind):
    facts = Sparsify(sparsity=0.7, schedule="one-shot").apply(checkpoints[kind], target, make_context())
    (before, rest), (after, same) = matrices(checkpoints[kind]), matrices(target)
    everything = np.abs(np.concatenate([value.ravel() for value in before.values()]))
    limit = np.sort(everything)[round(0.7 * len(everything)) - 1]
    for name, value in before.items():
        assert np.array_equal(after[name], np.where(np.abs(value) > limit, value, 0)), name
        assert not np.signbit(after[name][after[name] == 0]).any()  # no negative zeros: their bits are not zero
    assert rest.keys() == same.keys() and all(np.array_equal(rest[name], same[name]) for name in rest)
    gone, total = zeros(target)
    assert gone == round(0.7 * total) and facts["zeros"] == round(gone / total, 6)
    assert "not faster" in facts["note"] and "trained" not in facts
    check_loads(target)


def test_graph_parity(bert, target, make_context):
    Sparsify(sparsity=0.8, schedule="one-shot").apply(bert, target, make_context())
    ids, mask = token_batch(60, 5, 11, 0)
    session = onnxruntime.InferenceSession(graph_of(target).SerializeToString(), providers=["CPUExecutionProvider"])
    drawn = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]
    with torch.no_grad():
        model = AutoModelForSequenceClassification.from_pretrained(target).eval()
        wanted = model(torch.from_numpy(ids), torch.from_numpy(mask)).logits.numpy()
    np.testing.assert_allclose(drawn, wanted, atol=1e-4)


@pytest.mark.parametrize("pattern", ["1:4", "2:4", "4:8"])
@pytest.mark.parametrize("schedule", ["one-shot", "gradual"])
def test_patterns(bert, target, make_context, pattern, schedule):
    kept, group = map(int, pattern.split(":"))
    step = Sparsify(sparsity=1 - kept / group, pattern=pattern, schedule=schedule, epochs=1, precision="fp32")
    facts = step.apply(bert, target, make_context())
    for name, value in matrices(target)[0].items():
        assert ((value.reshape(-1, group) != 0).sum(1) == kept).all(), name
    assert facts["zeros"] == 1 - kept / group


def test_scopes(tmp_path, make_context):
    source = write_model(tmp_path / "source")
    for scope in ("global", "layer"):
        (tmp_path / scope).mkdir()
        facts = Sparsify(sparsity=0.75, scope=scope, schedule="one-shot").apply(
            source, tmp_path / scope, make_context()
        )
        shares = [float((v == 0).mean()) for v in matrices(tmp_path / scope)[0].values()]
        assert (set(shares) == {0.75}) == (scope == "layer")
        assert facts["zeros_by_layer"] == ([0.75, 0.75] if scope == "layer" else facts["zeros_by_layer"])


def test_taylor_at_one_shot(bert, target, make_context):
    context = make_context()
    Sparsify(sparsity=0.6, method="taylor", schedule="one-shot", texts=16).apply(bert, target, context)
    model = load_classifier(bert, context.labels, 0).eval()
    names = list(matrices(bert)[0])
    scores = {name: 0 for name in names}
    parameters = dict(model.named_parameters())
    for batch in sample(bert, context, model, 16):
        model.zero_grad()
        task_loss(bert, context)(model, batch).backward()
        for name in names:
            scores[name] = scores[name] + (parameters[name] * parameters[name].grad).abs().detach().numpy()
    flat = np.concatenate([scores[name].ravel() for name in names])
    gone = np.concatenate([matrices(target)[0][name].ravel() == 0 for name in names])
    assert gone.sum() == round(0.6 * len(flat))
    assert flat[gone].max() <= flat[~gone].min() * (1 + 1e-5)


@pytest.mark.parametrize("method", ["magnitude", "movement", "taylor"])
@pytest.mark.parametrize("taught", [False, True])
def test_gradual(bert, target, make_context, teacher, method, taught):
    context = make_context(teacher=teacher if taught else None)
    step = Sparsify(sparsity=0.83, method=method, epochs=3, precision="fp32", learning_rate=1e-3)
    facts = step.apply(bert, target, context)
    gone, total = zeros(target)
    assert gone == round(0.83 * total)
    assert facts["trained"] == ("distil" if taught else "finetune") and facts["steps"] > 3
    before, after = matrices(bert)[0], matrices(target)[0]
    name = next(iter(before))
    survivors = after[name] != 0
    assert not np.array_equal(before[name][survivors], after[name][survivors])
    check_loads(target)


def test_gradual_learns(bert, tmp_path, make_context):
    """Seventy percent fewer weights, and it learns to tell good from bad."""
    context = make_context(train=96)
    (tmp_path / "gradual").mkdir()
    step = Sparsify(sparsity=0.7, epochs=10, learning_rate=3e-3, precision="fp32")
    facts = step.apply(bert, tmp_path / "gradual", context)
    assert facts["history"][-1]["validation"] >= 80


def test_only_the_gradual_schedule_trains():
    for schedule in ("gradual", "one-shot"):
        step = Sparsify(schedule=schedule)
        assert step.trains == step.taught == (schedule == "gradual")


def test_packed(bert, tmp_path, make_context):
    for name in ("sparse", "int8", "narrow"):
        (tmp_path / name).mkdir()
    facts = Sparsify(sparsity=0.9, schedule="one-shot", store="packed").apply(
        bert, tmp_path / "sparse", make_context()
    )
    file = tmp_path / "sparse" / PACKED
    assert abs(file.stat().st_size - facts["bytes_packed"]) < 10_000 and facts["bytes_packed"] < facts["bytes_dense"]
    check_loads(tmp_path / "sparse")
    before = read_state(tmp_path / "sparse")
    (tmp_path / "sparse/model.safetensors").unlink()
    unpack(tmp_path / "sparse")
    assert all(np.array_equal(before[n], v) for n, v in read_state(tmp_path / "sparse").items())
    # What changes the weights leaves the packed ones of before behind; what does not keeps them.
    Quantise().apply(tmp_path / "sparse", tmp_path / "int8", make_context())
    Intermediate(width=40).apply(tmp_path / "sparse", tmp_path / "narrow", make_context())
    assert (tmp_path / "int8" / PACKED).is_file() and not (tmp_path / "narrow" / PACKED).exists()
    assert (tmp_path / "narrow/sparse.json").is_file()


def test_one_shot_keeps_a_frozen_head(bert, tmp_path, make_context):
    for name in ("frozen", "sparse"):
        (tmp_path / name).mkdir()
    Frozen().apply(bert, tmp_path / "frozen", make_context())
    step = Sparsify(schedule="one-shot", method="taylor", texts=8)
    step.apply(tmp_path / "frozen", tmp_path / "sparse", make_context())
    assert (tmp_path / "sparse/frozen.safetensors").is_file()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"sparsity": 0}, "sparsity: .* greater than 0"),
        ({"sparsity": 1}, "sparsity: .* less than 1"),
        ({"sparsity": -0.5}, "sparsity: .* greater than 0"),
        ({"sparsity": float("nan")}, "sparsity"),
        ({"sparsity": 0.7, "pattern": "2:4"}, r"pattern 2:4 means sparsity 0\.5, but it is 0\.7"),
        ({"pattern": "1:4"}, r"pattern 1:4 means sparsity 0\.75, but it is 0\.5"),
        ({"pattern": "3:4"}, "pattern: .*'1:4', '2:4' or '4:8'"),
        ({"method": "movement", "schedule": "one-shot"}, "movement is seen only while training"),
        ({"begin": 0.7, "end": 0.7}, "begin must be below end"),
        ({"method": "random"}, "method: .*'magnitude', 'movement' or 'taylor'"),
    ],
)
def test_fields_that_cannot_be(fields, said):
    with pytest.raises(InputError, match=said):
        step_from_spec("model", {"sparsify": fields}, "steps[0]")


def test_a_pattern_that_does_not_divide(bert, tmp_path, make_context):
    (tmp_path / "odd").mkdir()
    Intermediate(width=42, multiple_of=1).apply(bert, tmp_path / "odd", make_context())
    (tmp_path / "target").mkdir()
    with pytest.raises(
        InputError, match=r"step 'sparsify': pattern 2:4 needs inputs in multiples of 4, but .* has 42"
    ):
        Sparsify(pattern="2:4").apply(tmp_path / "odd", tmp_path / "target", make_context())
    assert not list((tmp_path / "target").iterdir())


def test_nothing_left(bert, target, make_context):
    with pytest.raises(InputError, match=r"sparsity 0\.9999 would leave nothing of bert\.encoder\.layer\.0.*32 x 32"):
        Sparsify(sparsity=0.9999, scope="layer").apply(bert, target, make_context())
    with pytest.raises(InputError, match="would leave none of"):
        Sparsify(sparsity=0.9999999).apply(bert, target, make_context())


def test_taylor_needs_a_head(bert, target, make_context):
    step = Sparsify(method="taylor", schedule="one-shot")
    with pytest.raises(InputError, match="step 'sparsify': the model has no head for these 3 classes"):
        step.apply(bert, target, make_context(classes=3))
