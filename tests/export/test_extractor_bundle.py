"""A model that chooses sentences: its folder says without torch what transformers says, at any length."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
import pytest
import torch
from tests.helpers.checkpoints import ALL_KINDS, sentences, token_batch, vocabulary, write_model

from lighten.errors import InputError
from lighten.export.extractor_bundle import add_scoring_graph, can_export
from lighten.models.auto import load_auto, save_auto
from lighten.models.extend import write_extended
from lighten.models.extension import Extension
from lighten.models.norms import set_norm
from lighten.runtime import Extractor, Summarizer, load_summarizer, read_folder
from lighten.runtime.choosing import choose_sentences
from lighten.runtime.sentences import sentences_of

TEXT = "\n\n".join(text.capitalize() + "." for text in sentences(30, seed=4)[0])


def write_folder(source, folder, **how):
    model = load_auto(source, "extractor", seed=0).eval()
    with torch.no_grad():
        for parameter in model.classifier.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(5)))
    save_auto(model, folder, source)
    add_scoring_graph(folder, **{"max_tokens": 32, "words": 12, "no_repeat": 3, "samples": [TEXT], **how})
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("extractor")
    write_folder(write_model(root / "bert"), root / "model")
    return root / "model"


def compare(model, folder, pad, lengths=(1, 5, 17, 31)):
    session = onnxruntime.InferenceSession(folder / "onnx" / "model.onnx")
    for tokens in lengths:
        ids, mask = token_batch(len(vocabulary(pad)), 3, tokens, pad, seed=tokens)
        (found,) = session.run(["scores"], {"input_ids": ids, "attention_mask": mask})
        with torch.no_grad():
            given = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
            expected = model(**given).logits[..., 0].numpy()
        assert found.shape == (3, tokens)
        assert np.allclose(found[mask == 1], expected[mask == 1], atol=2e-5)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_the_graph_says_what_transformers_says(kind, tmp_path):
    source = write_model(tmp_path / kind, kind)
    model = write_folder(source, tmp_path / "model")
    assert can_export(tmp_path / "model")
    compare(model, tmp_path / "model", {"roberta": 1}.get(kind, 0))


def test_windows_stay_windows(tmp_path):
    (tmp_path / "long").mkdir()
    write_extended(write_model(tmp_path / "bert"), tmp_path / "long", Extension(200, 8))
    model = write_folder(tmp_path / "long", tmp_path / "model", max_tokens=200)
    assert read_folder(tmp_path / "model").max_tokens == 200
    compare(model, tmp_path / "model", 0, (7, 64, 130))


def test_norms_without_statistics_are_folded(tmp_path):
    source = write_model(tmp_path / "bert")
    model = load_auto(source, "extractor", seed=0).eval()
    set_norm(model, "none", {"input_ids": torch.ones(2, 5, dtype=torch.long), "attention_mask": torch.ones(2, 5)})
    save_auto(model, tmp_path / "model", source)
    add_scoring_graph(tmp_path / "model", max_tokens=32, words=12, no_repeat=3)
    compare(model, tmp_path / "model", 0)


def test_scores_of_pieces_are_those_of_torch(folder):
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    model, tokenizer = (
        AutoModelForTokenClassification.from_pretrained(folder).eval(),
        AutoTokenizer.from_pretrained(folder),
    )
    parts, scores = Extractor(read_folder(folder)).scores(TEXT)
    assert parts == sentences_of(TEXT) and len(scores) == 30
    ids = [tokenizer(part, add_special_tokens=False, truncation=False)["input_ids"] for part in parts]
    held: list[int] = []
    for place in range(31):  # the obvious way: a piece ends where the next sentence does not fit
        if place == 30 or (held and sum(len(ids[at]) for at in held) + len(ids[place]) > 30):
            row = [tokenizer.cls_token_id, *(token for at in held for token in ids[at]), tokenizer.sep_token_id]
            with torch.no_grad():
                said = model(torch.tensor([row])).logits[0, :, 0].numpy()
            first = 1
            for at in held:
                assert scores[at] == pytest.approx(said[first : first + len(ids[at])].mean(), abs=1e-4)
                first += len(ids[at])
            held = []
        held.append(place)


def test_a_summary_is_made_of_the_best_sentences(folder):
    model = load_summarizer(folder)
    assert isinstance(model, Extractor) and (model.words, model.no_repeat) == (12, 3)
    parts, scores = model.scores(TEXT)
    expected = "\n".join(parts[at] for at in choose_sentences(parts, scores, 12, 3))
    assert model.summarize(TEXT) == [expected] == model.summarize([TEXT]) and expected
    longer, blank = model.summarize([TEXT, " \n "], words=40)
    assert len(longer.split()) > len(expected.split()) and blank == ""
    assert model.self_test() == []
    model.verify()
    for words in (0, True, 1.5):
        with pytest.raises(InputError, match="words must be a whole number"):
            model.summarize(TEXT, words=words)
    with pytest.raises(InputError, match="chooses sentences and writes none"):
        Summarizer(read_folder(folder))


def test_a_damaged_folder_is_named(folder, tmp_path):
    import shutil

    broken = shutil.copytree(folder, tmp_path / "broken")
    content = json.loads((broken / "lighten.json").read_text())
    case = content["self_test"][0]
    (broken / "lighten.json").write_text(json.dumps({**content, "self_test": [{**case, "scores": [9.0] * 30}]}))
    assert "self-test 0: scores [9." in load_summarizer(broken).self_test()[0]
    for change, said in (
        ({"extraction": {"words": 0, "no_repeat": 3}}, "extraction.words"),
        ({"extraction": {"words": 3}}, "no_repeat"),
        ({"self_test": [{"text": "a", "scores": ["high"]}]}, "no numbers"),
    ):
        (broken / "lighten.json").write_text(json.dumps({**content, **change}))
        with pytest.raises(InputError, match=said):
            read_folder(broken)


def test_a_checkpoint_without_such_a_head_is_refused(tmp_path):
    source = write_model(tmp_path / "bert", classes=3)
    with pytest.raises(InputError, match="one number of every token"):
        add_scoring_graph(source, max_tokens=32, words=12, no_repeat=3)
