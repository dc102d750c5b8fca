from hypothesis import given
from hypothesis import strategies as st

from lighten.pipeline import Examples, read_examples, read_texts, write_examples, write_texts

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"])))


@given(TEXTS)
def test_what_is_written_is_read(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("x") / "train.jsonl"
    examples = Examples(texts, list(range(len(texts))), [i + 2 for i in range(len(texts))])
    write_examples(path, examples)
    assert read_examples(path) == examples and len(examples) == len(texts)
    assert read_texts(path) == texts
    write_texts(path, texts)
    assert read_texts(path) == texts
