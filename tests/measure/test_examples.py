import pytest

from lighten.errors import InputError
from lighten.measure.examples import align, read_examples


def test_reads_texts_and_places(tmp_path):
    file = tmp_path / "test.jsonl"
    file.write_text('{"text": "a\\u2028b", "label": "rotten"}\n\n{"text": "", "label": "fresh", "film": 1}\n', "utf-8")
    assert read_examples(file, ["fresh", "rotten"]) == (["a\u2028b", ""], [1, 0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"text": "a", "label": "fresj"}',
            r"line 1: label 'fresj' is not one of fresh, rotten; did you mean 'fresh'\?",
        ),
        ('{"text": "a", "label": "fresh"}\n{"text": "a"}', "line 2: expected"),
        ("[1]", "line 1: expected"),
        ("no json", "line 1: expected"),
        ("\n\n", "no examples here"),
    ],
)
def test_bad_examples_are_named(tmp_path, content, message):
    file = tmp_path / "test.jsonl"
    file.write_text(content)
    with pytest.raises(InputError, match=message):
        read_examples(file, ["fresh", "rotten"])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_examples(tmp_path / "none.jsonl", ["a", "b"])


def test_columns_are_brought_into_one_order():
    assert align(["a", "b", "c"], ["c", "a", "b"], "model") == [1, 2, 0]
    with pytest.raises(InputError, match="other labels"):
        align(["a", "b"], ["a", "c"], "model")
