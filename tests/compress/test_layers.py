"""Depth."""

from __future__ import annotations

import shutil

import pytest
import torch
from tests.helpers.checkpoints import ALL_KINDS, KINDS, check_loads, same_state, write_model

from lighten.compress.layer_scores import LayerScores
from lighten.compress.steps import Frozen, Layers
from lighten.compress.token_states import layers_stood_for
from lighten.errors import InputError
from lighten.models.checkpoint import read_config, read_state, write_checkpoint
from lighten.models.load import load_classifier
from lighten.models.slicing import keep_layers
from lighten.pipeline import step_from_spec, step_to_dict


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """Five layers, of which the second and the fourth do nothing: their outputs are zero."""
    folder = write_model(tmp_path_factory.mktemp("deep") / "model", "bert", layers=5)
    config, state = read_config(folder), read_state(folder)
    for layer in (1, 3):
        at = f"bert.encoder.layer.{layer}."
        for name in ("attention.output.dense", "output.dense"):
            state[f"{at}{name}.weight"][:] = 0
            state[f"{at}{name}.bias"][:] = 0
        before = f"bert.encoder.layer.{layer - 1}.output.LayerNorm"
        for part in ("weight", "bias"):  # of a normed state the norm makes the same again if it has no scale
            state[f"{before}.{part}"][:] = part == "weight"
            for own in ("attention.output.LayerNorm", "output.LayerNorm"):
                state[f"{at}{own}.{part}"][:] = part == "weight"
    write_checkpoint(folder, config, state, tokenizer=None)
    return folder


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_layers(checkpoints, target, make_context, kind):
    metrics = Layers(count=1).apply(checkpoints[kind], target, make_context())
    assert metrics == {"kept": [1], "of": 2}
    config, state = keep_layers(read_config(checkpoints[kind]), read_state(checkpoints[kind]), [1])
    assert same_state(read_state(target), state) and read_config(target) == {**config, "dtype": "float32"}
    check_loads(target)


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"count": 3}, [1, 2, 4]),
        ({"count": 3, "map": "alternate"}, [0, 1, 3]),
        ({"count": 3, "map": "ends"}, [0, 2, 4]),
        ({"count": 1, "map": "ends"}, [4]),
        ({"kept": [0, 2, 3]}, [0, 2, 3]),
        ({"kept": [3, 0]}, [3, 0]),
        ({"count": 5, "map": "searched"}, [0, 1, 2, 3, 4]),
    ],
)
def test_layers_of_a_deeper_model(deep, target, make_context, fields, kept):
    assert Layers(**fields).apply(deep, target, make_context())["kept"] == kept
    _, state = keep_layers(read_config(deep), read_state(deep), kept)
    assert same_state(read_state(target), state)


@pytest.mark.parametrize("name", ["importance", "searched"])
@pytest.mark.parametrize("head", [True, False])
def test_layers_that_do_nothing_go(deep, tmp_path, target, make_context, name, head):
    """With a head by the loss; without one by what becomes of the states."""
    source = deep
    if not head:
        source = shutil.copytree(deep, tmp_path / "bare")
        state = {n: v for n, v in read_state(deep).items() if not n.startswith("classifier")}
        write_checkpoint(source, read_config(deep), state, tokenizer=None)
    metrics = Layers(count=3, map=name, texts=40).apply(source, target, make_context())
    assert metrics["measure"] == ("loss" if head else "similarities") and metrics["texts"] == 40
    if name == "importance":
        assert sorted([*metrics["kept"], *(removal["layer"] for removal in metrics["dropped"])]) == [0, 1, 2, 3, 4]
    if not head:
        assert metrics["kept"] == [0, 2, 4] and metrics["dropped"][-1]["score"] == pytest.approx(0, abs=1e-5)
    if name == "searched":
        scores = {map: found["score"] for map, found in metrics["scores"].items()}
        assert set(scores) == {"first", "last", "spread", "alternate", "ends", "importance"}
        assert scores[metrics["map"]] == min(scores.values())
        assert metrics["scores"][metrics["map"]]["kept"] == metrics["kept"]
    check_loads(target) if head else None


def test_a_score_is_that_of_the_cut_checkpoint(deep, tmp_path, make_context):
    """Layers left out in memory, beside the checkpoint without them and its loss counted by hand."""
    context = make_context()
    scores = LayerScores(deep, context, 64)
    (tmp_path / "cut").mkdir()
    write_checkpoint(tmp_path / "cut", *keep_layers(read_config(deep), read_state(deep), [2, 0]), tokenizer=deep)
    model = load_classifier(tmp_path / "cut", context.labels, 0)
    losses = []
    for text, label in zip(context.train.texts, context.train.labels, strict=True):
        with torch.no_grad():
            ids = torch.from_numpy(context.encode(deep, [text])[0]).long()[None]
            losses.append(float(torch.nn.functional.cross_entropy(model(ids).logits, torch.tensor([label]))))
    assert scores.score([2, 0]) == pytest.approx(sum(losses) / len(losses), abs=1e-4)
    assert len(scores.stack) == 5 and scores.score(range(5)) == LayerScores(deep, context, 64).score(range(5))


def test_a_frozen_head_is_judged_by(deep, tmp_path, target, make_context):
    (tmp_path / "frozen").mkdir()
    Frozen().apply(deep, tmp_path / "frozen", make_context())
    metrics = Layers(count=4, map="importance").apply(tmp_path / "frozen", target, make_context())
    assert metrics["measure"] == "loss" and metrics["whole"] < 0.3 and (target / "frozen.safetensors").is_file()


def test_another_word_for_spread():
    step = step_from_spec("model", {"layers": {"count": 3, "map": "every-other"}}, "here")
    assert step == Layers(count=3) and step_to_dict(step)["map"] == "spread"
    assert (
        Layers.short == "count" and Layers(count=3).layers_needed() == 3 and Layers(kept=[0, 4]).layers_needed() == 5
    )


def test_more_layers_than_there_are(bert, target, make_context):
    with pytest.raises(
        InputError, match=r"step 'layers': count must be at most 2, the layers of the model, but got 7"
    ):
        Layers(count=7).apply(bert, target, make_context())
    with pytest.raises(InputError, match=r"kept must be below 2, the layers of the model, but holds 2"):
        Layers(kept=[0, 2]).apply(bert, target, make_context())
    assert not list(target.iterdir())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "give either count"),
        ({"count": 2, "kept": [0]}, "give either count"),
        ({"kept": []}, "kept: .* at least 1"),
        ({"kept": [-1]}, "counted from 0, but kept holds -1"),
        ({"kept": [0, 0]}, r"kept once, but kept is \[0, 0\]"),
        ({"count": 2, "texts": 0}, "texts: .* greater than or equal to 1"),
    ],
)
def test_fields_that_contradict(fields, said):
    with pytest.raises(InputError, match=said):
        step_from_spec("model", {"layers": fields}, "steps[0]")


def states_of(folder, context, layers):
    """Return the states behind so many layers, the tokens of the training texts one after the other."""
    model = load_classifier(folder, context.labels, 0).eval()
    with torch.no_grad():
        ids = [torch.from_numpy(ids).long()[None] for ids in context.encode(folder, context.train.texts)]
        return torch.cat([model.base_model(row, output_hidden_states=True).hidden_states[layers][0] for row in ids])


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"electra"}))
def test_embeddings_stand_for_the_layers_below(checkpoints, tmp_path, make_context, kind):
    context, source, found = make_context(train=200), checkpoints[kind], {}
    for embeddings in ("own", "states"):
        (tmp_path / embeddings).mkdir()
        facts = Layers(kept=[1], embeddings=embeddings).apply(source, tmp_path / embeddings, context)
        found[embeddings] = states_of(tmp_path / embeddings, context, 0)
    assert facts == {"kept": [1], "of": 2, "embeddings_for": 1}
    wanted = states_of(source, context, 1)
    off = {name: float((states - wanted).square().mean() / wanted.var(0).mean()) for name, states in found.items()}
    assert off["states"] < 0.5 * off["own"]
    one, other = (read_state(tmp_path / name) for name in ("own", "states"))
    assert one.keys() == other.keys()
    changed = {name for name in one if not (one[name] == other[name]).all()}
    assert changed and all("embeddings." in name for name in changed)
    check_loads(tmp_path / "states")


def test_embeddings_stay_where_no_layer_is_below_or_they_cannot_stand_for_any(checkpoints, tmp_path, make_context):
    context = make_context()

    def same(kind, kept):
        for embeddings in ("own", "auto"):
            (tmp_path / f"{kind}-{embeddings}").mkdir()
            facts = Layers(kept=kept, embeddings=embeddings).apply(
                checkpoints[kind], tmp_path / f"{kind}-{embeddings}", context
            )
        assert facts == {"kept": kept, "of": 2}
        return same_state(*(read_state(tmp_path / f"{kind}-{name}") for name in ("own", "auto")))

    assert same("bert", [0]) and same("electra", [1]) and same("modernbert", [1])
    (tmp_path / "refused").mkdir()
    with pytest.raises(
        InputError, match="cannot stand for layers: a modernbert has no norm behind its layers; use em"
    ):
        Layers(count=1, embeddings="states").apply(checkpoints["modernbert"], tmp_path / "refused", context)
    assert not list((tmp_path / "refused").iterdir())


def test_the_same_seed_gives_the_same_embeddings(bert, tmp_path, make_context):
    for name in "ab":
        (tmp_path / name).mkdir()
        Layers(count=1, embeddings="auto").apply(bert, tmp_path / name, make_context())
    assert same_state(read_state(tmp_path / "a"), read_state(tmp_path / "b"))


def test_embeddings_stand_for_the_lower_half_of_what_is_below():
    assert [layers_stood_for(first) for first in (1, 2, 3, 4, 5, 11)] == [1, 2, 2, 3, 3, 6]
