"""Steps on decoders: the same words as for encoders, or a refusal that names the right one."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.helpers.decoders import TEXTS, decoder, logits_of, write_decoder_checkpoint

from lighten.compress.judge_language import LanguageJudge
from lighten.compress.layer_scores import LayerScores
from lighten.compress.step import Context
from lighten.compress.steps import Distil, DistilLanguage, Intermediate, Layers, Quantise, Student, Vocabulary, Width
from lighten.errors import InputError
from lighten.export.decoder_bundle import bits_of, end_token_ids
from lighten.measure.language import checkpoint_losses
from lighten.models.auto import load_auto
from lighten.models.checkpoint import read_config, read_state, write_checkpoint
from lighten.models.tokens import read_tokenizer
from lighten.pipeline import step_from_spec
from lighten.pipeline.examples import Examples

__all__ = ["decoder"]


def context(texts=tuple(TEXTS), **changes):
    examples = Examples(list(texts), [0] * len(texts), list(range(len(texts))))
    return Context([], examples, examples, max_tokens=32, seed=0, **changes)


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """Four layers, of which the second and the third add nothing."""
    folder = write_decoder_checkpoint(tmp_path_factory.mktemp("deep") / "model", num_hidden_layers=4)
    config, state = read_config(folder), read_state(folder)
    for layer in (1, 2):
        for name in ("self_attn.o_proj", "mlp.down_proj"):
            state[f"model.layers.{layer}.{name}.weight"][:] = 0
    write_checkpoint(folder, config, state, tokenizer=None)
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    return folder


@pytest.mark.parametrize("kind", ["importance", "searched"])
def test_layers_that_do_nothing_are_found_by_the_loss(deep, out, kind):
    told = Layers(count=2, map=kind).apply(deep, out, context())
    assert told["kept"] == [0, 3] and told["measure"] == "loss" and told["of"] == 4
    ids = read_tokenizer(deep).encode(TEXTS[0]).ids
    np.testing.assert_allclose(logits_of(out, ids), logits_of(deep, ids), atol=1e-4)
    assert (out / "chat_template.jinja").is_file() and (out / "generation_config.json").is_file()


def test_a_lost_first_layer_is_told(decoder, out, tmp_path):
    assert "map=ends" in Layers(count=1, map="last").apply(decoder, out, context())["note"]
    (tmp_path / "other").mkdir()
    assert "note" not in Layers(count=1, map="first").apply(decoder, tmp_path / "other", context())


def test_the_score_is_the_loss_of_the_checkpoint(deep):
    judge = LanguageJudge(deep, context(TEXTS[:1]), 1)
    model = load_auto(deep, "causal", seed=0)
    losses = checkpoint_losses(deep, TEXTS[:1])
    # The end token is predicted too.
    assert judge.score(model) == pytest.approx(np.log(losses.perplexity), rel=0.3)
    scores = LayerScores(deep, context(), 4)
    assert scores.score([0, 1, 2, 3]) == pytest.approx(scores.score([0, 3]), abs=1e-4)
    assert scores.score([1, 2]) != pytest.approx(scores.score([0, 3]), abs=1e-2)


def test_neurons(decoder, out):
    told = Intermediate(width=64).apply(decoder, out, context())
    assert told["kept"] == 64 and len(told["importance_kept"]) == 2
    assert read_state(out)["model.layers.0.mlp.gate_proj.weight"].shape == (64, 64)
    logits_of(out, [1, 2, 3])
    with pytest.raises(InputError, match="importance must be 'magnitude' for a language model but got 'activation'"):
        Intermediate(width=64, importance="activation").apply(decoder, out, context())


@pytest.mark.parametrize(("word", "body"), [("int8", 8), ("int4", 4), ("int8-weights", 8), ("int4:block=16", 4)])
def test_formats(decoder, out, word, body):
    step = step_from_spec("model", word, "steps")
    told = step.apply(decoder, out, context())
    bits = bits_of(out)
    assert (bits.body, bits.head, bits.block) == (body, 8, told["block"])
    assert json.loads((out / "quantise.json").read_text()) == told


@pytest.mark.parametrize("word", ["int8-static", "mixed"])
def test_formats_of_encoders_are_refused(decoder, out, word):
    with pytest.raises(InputError, match="is for encoders; a language model's weights can be int8 or int4"):
        Quantise(format=word).apply(decoder, out, context())
    assert not list(out.iterdir())


@pytest.mark.parametrize("step", [Width(hidden=32), Student(layers=1), Distil()])
def test_steps_of_encoders_are_refused(decoder, out, step):
    with pytest.raises(InputError, match="is a language model") as caught:
        step.apply(decoder, out, context(teacher_model=decoder))
    assert f"step '{step.name}'" in str(caught.value)
    assert ("'distil-language' is for language models" in str(caught.value)) is isinstance(step, Distil)


def test_the_tokens_that_end_a_text_follow_the_vocabulary(decoder, out, tmp_path):
    import shutil

    source = tmp_path / "source"
    shutil.copytree(decoder, source)
    (source / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 0], "bos_token_id": 1}))
    Vocabulary().apply(source, out, context())
    before, after = (read_tokenizer(folder) for folder in (source, out))
    named = [before.id_to_token(number) for number in (2, 0)]
    assert [after.id_to_token(number) for number in end_token_ids(out, read_config(out))] == named


def test_a_student_with_fewer_pieces_learns_from_its_teacher(decoder, tmp_path):
    cut, healed = tmp_path / "cut", tmp_path / "healed"
    texts = [text.replace("film", "sea") for text in TEXTS]
    for folder in (cut, healed):
        folder.mkdir()
    Vocabulary().apply(decoder, cut, context(texts))
    assert read_config(cut)["vocab_size"] < read_config(decoder)["vocab_size"]
    options = {"epochs": 1, "block": 32, "tokens_per_batch": 64, "precision": "fp32", "learning_rate": 1e-5}
    step = DistilLanguage(label_weight=0.0, **options)
    told = step.apply(cut, healed, context(texts, teacher_model=decoder))
    # The student is its teacher already: where both read the same tokens nothing is left but what the pieces that
    # were cut had of the probability.
    assert told["history"][0]["loss"] < 0.05 if told["history"] else told["steps"]
    with pytest.raises(InputError, match="the teacher does not know the token"):
        step.apply(decoder, healed, context(texts, teacher_model=cut))
