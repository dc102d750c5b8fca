from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from tests.helpers.decoders import TEXTS, decoder, logits_of

from lighten.compress import tune_language
from lighten.compress.step import Context
from lighten.compress.tune_language import DistilLanguage, FinetuneLanguage
from lighten.errors import InputError
from lighten.measure.language import checkpoint_losses
from lighten.models.checkpoint import read_config, read_state, write_checkpoint
from lighten.models.decoder.slicing import keep_layers
from lighten.pipeline import step_from_spec, step_to_dict
from lighten.pipeline.examples import Examples

__all__ = ["decoder"]


def context(texts=tuple(TEXTS), **changes):
    examples = Examples(list(texts), [0] * len(texts), list(range(len(texts))))
    return Context([], examples, examples, max_tokens=32, seed=0, **changes)


@pytest.fixture
def shallow(tmp_path, decoder):
    (tmp_path / "shallow").mkdir()
    cut = keep_layers(read_config(decoder), read_state(decoder), [0])
    write_checkpoint(tmp_path / "shallow", *cut, tokenizer=decoder)
    return tmp_path / "shallow"


def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


OPTIONS = {"epochs": 8, "learning_rate": 3e-3, "block": 32, "tokens_per_batch": 64, "precision": "fp32"}


def test_finetuning_lowers_the_perplexity(tmp_path, shallow):
    target = out(tmp_path)
    told = FinetuneLanguage(**OPTIONS).apply(shallow, target, context())
    before, after = (checkpoint_losses(folder, TEXTS[:3]).perplexity for folder in (shallow, target))
    assert after < 0.3 * before
    assert told["validation_perplexity"] < 0.5 * before


def test_the_perplexity_told_is_of_the_weights_that_are_saved(tmp_path, shallow, monkeypatch):
    """Each look finds more loss than the one before: an earlier state is put back."""
    looks = []

    def worse(*args, **options):
        looks.append(3.0 + len(looks))
        return SimpleNamespace(mean=looks[-1])

    monkeypatch.setattr(tune_language, "losses_of", worse)
    told = FinetuneLanguage(**OPTIONS).apply(shallow, out(tmp_path), context())
    assert told["restored"] and told["best"] > -looks[-1]
    assert told["validation_perplexity"] == pytest.approx(np.exp(-told["best"]), rel=1e-4)


def test_distilling_brings_the_student_to_its_teacher(tmp_path, shallow, decoder):
    target = out(tmp_path)
    step = DistilLanguage(**OPTIONS, label_weight=0.0)
    step.apply(shallow, target, context(teacher_model=decoder))
    from lighten.models.tokens import read_tokenizer

    ids = np.array(read_tokenizer(decoder).encode(TEXTS[0]).ids)
    said = {name: logits_of(folder, ids) for name, folder in (("t", decoder), ("before", shallow), ("after", target))}

    def divergence(name):
        logs = [said[n] - np.log(np.exp(said[n]).sum(1, keepdims=True)) for n in ("t", name)]
        return float((np.exp(logs[0]) * (logs[0] - logs[1])).sum(1).mean())

    assert divergence("after") < 0.5 * divergence("before")
    assert (target / "tokenizer.json").is_file()


def test_what_is_missing_is_said_at_once(tmp_path, shallow):
    with pytest.raises(InputError, match="no teacher model"):
        DistilLanguage(**OPTIONS).apply(shallow, tmp_path, context())
    with pytest.raises(InputError, match="without a token to predict"):
        FinetuneLanguage(**OPTIONS).apply(shallow, tmp_path, context(texts=()))


@pytest.mark.parametrize("step", [FinetuneLanguage(epochs=2), DistilLanguage(temperature=2.0)])
def test_a_step_survives_its_record(step):
    record = json.loads(json.dumps(step_to_dict(step)))
    assert step_from_spec("model", record, "here") == step
