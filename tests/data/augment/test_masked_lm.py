import pytest
from tests.helpers.checkpoints import BAD, GOOD, NEUTRAL, make_config, sentences, write_model, write_tokenizer

from lighten.data import augment_texts
from lighten.data.augment.words import words
from lighten.errors import InputError

KNOWN = {*GOOD, *BAD, *NEUTRAL} - {"a"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny random BERT with a masked-language-model head."""
    import torch
    from transformers import AutoModelForMaskedLM

    folder = tmp_path_factory.mktemp("masked")
    pieces = write_tokenizer(folder)
    torch.manual_seed(0)
    AutoModelForMaskedLM.from_config(make_config("bert", pieces)).save_pretrained(folder)
    return folder


def spec(model, **fields):
    return {"masked_lm": {"model": str(model), **fields}}


def test_words_are_replaced_by_whole_words_inside_the_bounds(model):
    texts = sentences(12, longest=20)[0] + ["It was  a mess,\nnot good at http://a.b/c 10 times!", "", "one"]
    made, report = augment_texts(texts, spec(model), 3, rate=0.3)
    changed = 0
    for text, row in zip(texts, made, strict=True):
        for new in row:
            old_words, new_words = ([t[s:e] for s, e in words(t)] for t in (text, new))
            edits = [new for old, new in zip(old_words, new_words, strict=True) if old != new]
            assert len(edits) <= 0.34 * len(old_words)
            assert {word.lower() for word in edits} <= KNOWN
            changed += len(edits)
    assert made[-3][0].endswith("http://a.b/c 10 times!") and "  " in made[-3][0] and "not" in made[-3][0]
    assert changed == report["masked_lm"]["edited_words"] > 20


def test_the_outcome_depends_on_text_and_seed_alone(model):
    texts = sentences(9, longest=20)[0]
    whole = augment_texts(texts, spec(model), 2).texts
    assert augment_texts(texts[::-1], spec(model, batch=2), 2).texts[::-1] == whole
    assert augment_texts(texts, spec(model), 2, seed=1).texts != whole


def test_top_k_narrows_the_choice(model):
    text = "the film was a great triumph and it is funny"
    few, many = (set(augment_texts([text], spec(model, top_k=k), 60).texts[0]) for k in (1, 15))
    assert len(few) < len(many)


def test_a_text_longer_than_the_model_is_edited_where_the_model_sees_it(model):
    text = " ".join(["film"] * 200)
    for new in augment_texts([text], spec(model, rate=0.3), 2).texts[0]:
        assert len(new.split()) == 200 and new.split()[60:] == ["film"] * 140 and new != text


def test_a_model_without_the_head_is_refused(tmp_path):
    with pytest.raises(InputError, match="no masked-language-model head"):
        augment_texts(["a film"], spec(write_model(tmp_path / "classifier")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"config\.json"):
        augment_texts(["a film"], spec(tmp_path / "empty"))
