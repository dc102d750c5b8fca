"""A tiny BART and a tiny BERT2BERT without torch write what transformers writes, token for token."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tests.conftest import make_tokenizer
from tests.helpers.checkpoints import bert, checkpoints, one_thread

from lighten.errors import InputError
from lighten.export.summarizer_bundle import Summarizing, add_graphs, can_export
from lighten.models.auto import save_auto
from lighten.models.warm_start import load_from_encoder
from lighten.models.writing import Writing, generation_config
from lighten.runtime import load_summarizer
from lighten.runtime.folder import read_folder

__all__ = ["bert", "checkpoints", "one_thread"]

TEXTS = ["the film was great and the movie is dull", "a mess", "great great film of the movie a story acting plot"]


def tiny_bart(folder, scale=False):
    from transformers import BartConfig, BartForConditionalGeneration

    folder.mkdir(parents=True)
    pieces = make_tokenizer(folder / "tokenizer.json")
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "[PAD]", "sep_token": "[SEP]"}))
    torch.manual_seed(3)
    config = BartConfig(
        vocab_size=pieces,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=2,
        encoder_ffn_dim=48,
        decoder_ffn_dim=40,
        max_position_embeddings=40,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        decoder_start_token_id=3,
        forced_bos_token_id=2,
        forced_eos_token_id=3,
        scale_embedding=scale,
        init_std=0.6,
        activation_function="relu" if scale else "gelu",
    )
    model = BartForConditionalGeneration(config).eval()
    with torch.no_grad():  # summaries that end by themselves, some early
        model.final_logits_bias += torch.randn(1, pieces, generator=torch.Generator().manual_seed(0))
        model.final_logits_bias[0, 3] += 2.5
    return model


@pytest.fixture(scope="module", params=["bart", "scaled", "bert"])
def exported(request, bert, tmp_path_factory):
    folder = tmp_path_factory.mktemp("summarizer") / "model"
    if request.param == "bert":
        model = load_from_encoder(bert, seed=0).eval()
        with torch.no_grad():
            for parameter in model.decoder.parameters():
                parameter += 0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
        model.generation_config = generation_config(model, Writing(4, 12))
        save_auto(model, folder, bert)
    else:
        model = tiny_bart(folder, request.param == "scaled")
        model.generation_config = generation_config(model, Writing(4, 12))
        model.save_pretrained(folder)
    assert can_export(folder)
    add_graphs(folder, Summarizing(30, written=12), samples=TEXTS[:1])
    return model, folder


def test_the_logits_are_those_of_torch(exported):
    model, folder = exported
    ours = load_summarizer(folder)
    ids = np.array([7, 8, 9, 10, 11])
    tokens = [3, 9, 12, 7]
    known, cache = ours.read(ids), {}
    found = [ours.step(known, cache, np.array([t, t]), np.array([0, 0]))[1] for t in tokens]
    with torch.no_grad():
        wanted = model(input_ids=torch.tensor(ids)[None], decoder_input_ids=torch.tensor([tokens])).logits[0]
    assert np.abs(np.stack(found) - wanted.numpy()).max() < 2e-4


@pytest.mark.parametrize("beams", [1, 2, 4])
@pytest.mark.parametrize(("penalty", "no_repeat"), [(1.0, 0), (1.0, 2), (2.0, 3), (0.0, 0), (-1.0, 2)])
def test_summaries_are_those_of_transformers(exported, beams, penalty, no_repeat):
    from lighten.runtime.beams import Search

    model, folder = exported
    ours = load_summarizer(folder)
    search = Search(**{**vars(ours.search), "beams": beams, "length_penalty": penalty, "no_repeat": no_repeat})
    lengths = set()
    for number in range(6):
        ids = np.random.default_rng(number).integers(5, 60, 4 + 3 * number)
        config = generation_config(model, Writing(beams, 12, penalty, no_repeat))
        wanted = model.generate(input_ids=torch.tensor(ids)[None], generation_config=config)[0].tolist()
        assert ours.write(ids, search) == wanted[1:]
        lengths.add(len(wanted))
    if model.config.model_type == "bart" and not model.config.scale_embedding and penalty == 1.0:
        assert len(lengths) > 1  # some end by themselves


def test_texts_become_summaries(exported):
    _, folder = exported
    ours = load_summarizer(folder)
    assert [len(ours.summarize(TEXTS)), ours.self_test()] == [3, []]
    assert ours.summarize(TEXTS[0]) == ours.summarize(TEXTS)[:1]
    assert "[" not in "".join(ours.summarize(TEXTS))
    with pytest.raises(InputError, match="writes 12 tokens at most"):
        ours.summarize(TEXTS, max_tokens=13)
    with pytest.raises(InputError, match="beams must be"):
        ours.summarize(TEXTS, beams=0)


def test_long_texts_go_piece_by_piece(exported):
    _, folder = exported
    before = (folder / "lighten.json").read_text()
    try:
        add_graphs(folder, Summarizing(16, written=6, chunked=True, again=False))
        ours = load_summarizer(folder)
        text = "the film was great and the movie is dull. " * 6
        pieces = [ours.summarize(part)[0] for part in ("the film was great and the movie is dull.",)]
        assert len(ours.summarize(text)[0].splitlines()) > len(pieces)
    finally:
        (folder / "lighten.json").write_text(before)


def test_the_folder_is_checked(exported, tmp_path):
    from lighten.runtime import Classifier

    _, folder = exported
    described = read_folder(folder)
    assert described.encoder == folder / "onnx" / "encoder.onnx" and described.task == "summarization"
    with pytest.raises(InputError, match="summarization"):
        Classifier(described)


def test_other_models_are_not_exported(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"}))
    assert not can_export(tmp_path)
