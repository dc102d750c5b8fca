from __future__ import annotations

import json

import numpy as np
import pytest
from tests.helpers.decoders import decoder, decoder_folder, logits_of, write_decoder_checkpoint

from lighten.errors import InputError
from lighten.export.decoder_bundle import Generating, bits_of, end_token_ids, write_decoder
from lighten.models.decoder.formats import note_format
from lighten.runtime import load, load_generator, read_folder

__all__ = ["decoder", "decoder_folder"]


def test_the_folder_answers_as_transformers(decoder, decoder_folder):
    model = load_generator(decoder_folder)
    ids = model.encode("the film of 1984")
    np.testing.assert_allclose(model.session.logits(ids), logits_of(decoder, ids), atol=1e-4)
    assert model.self_test() == []
    model.verify()
    np.testing.assert_allclose(logits_of(decoder_folder, ids), logits_of(decoder, ids))


def test_the_description(decoder_folder):
    found = json.loads((decoder_folder / "lighten.json").read_text())
    assert found["task"] == "language-modeling" and found["generation"] == {"end_token_ids": [2]}
    assert found["files"]["model.safetensors"]["role"] == "training"
    assert found["files"]["onnx/model.onnx"]["role"] == "serving"
    folder = read_folder(decoder_folder)
    assert (folder.labels, folder.max_tokens, folder.end_token_ids) == ((), 64, (2,))


def test_it_is_no_classifier(decoder_folder, shared_model_folder):
    with pytest.raises(InputError, match="load_generator"):
        load(decoder_folder)
    with pytest.raises(InputError, match="text-classification"):
        load_generator(shared_model_folder)


@pytest.mark.parametrize("wanted", ["int8", "int4"])
def test_the_note_beside_the_checkpoint_decides(tmp_path, wanted, decoder_folder):
    checkpoint = write_decoder_checkpoint(tmp_path / "checkpoint")
    note_format(checkpoint, wanted)
    (tmp_path / "out").mkdir()
    write_decoder(tmp_path / "out", checkpoint, Generating(32, 1), samples=["the film"], weights=False)
    model = load_generator(tmp_path / "out")
    assert model.self_test() == [] and model.folder.max_tokens == 32
    size = (tmp_path / "out/onnx/model.onnx").stat().st_size
    assert size < 0.6 * (decoder_folder / "onnx/model.onnx").stat().st_size
    ids = model.encode("the film of 1984")
    off = np.abs(model.session.logits(ids) - logits_of(checkpoint, ids)).max()
    assert 1e-5 < off < (0.1 if wanted == "int8" else 1.0) * np.abs(logits_of(checkpoint, ids)).max()


def test_a_changed_answer_is_noticed(tmp_path, decoder):
    (tmp_path / "out").mkdir()
    write_decoder(tmp_path / "out", decoder, Generating(32, 1), samples=["the film"], weights=False)
    file = tmp_path / "out/lighten.json"
    description = json.loads(file.read_text())
    description["self_test"][0]["log_probability"] -= 1.0
    file.write_text(json.dumps(description))
    assert "log-probability" in load_generator(tmp_path / "out").self_test()[0]


def test_notes_that_fit_no_decoder_are_refused(tmp_path, decoder):
    with pytest.raises(InputError, match="not 'int8-static'"):
        note_format(tmp_path, "int8-static")
    with pytest.raises(InputError, match="block must be one of"):
        note_format(tmp_path, "int4", block=24)
    with pytest.raises(InputError, match="head_bits"):
        note_format(tmp_path, "int4", head_bits=6)
    (tmp_path / "quantise.json").write_text('{"format": "mixed"}')
    with pytest.raises(InputError, match="not 'mixed'"):
        bits_of(tmp_path)
    assert bits_of(decoder).body == 32


def test_several_tokens_may_end_a_text(tmp_path):
    assert end_token_ids(tmp_path, {"eos_token_id": [3, 4]}) == [3, 4]
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": 7}')
    assert end_token_ids(tmp_path, {"eos_token_id": 2}) == [7]
    assert end_token_ids(tmp_path / "none", {}) == []
