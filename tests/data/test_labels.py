import polars as pl
import pytest

from lighten.data.columns import FILE, ROW
from lighten.data.labels import check_known, find_labels, label_texts
from lighten.errors import InputError


def table(*labels):
    return pl.DataFrame({"y": labels}).with_columns(
        pl.lit("reviews.csv").alias(FILE), pl.int_range(2, 2 + len(labels)).alias(ROW)
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True, False], ["true", "false"]),
        ([1, 0, None], ["1", "0", None]),
        ([1.0, 2.0, None], ["1", "2", None]),
        ([0.5, 1.0], ["0.5", "1.0"]),
        ([" a", "b ", " ", ""], ["a", "b", None, None]),
    ],
)
def test_labels_become_text(values, expected):
    assert label_texts(pl.Series("y", values)).to_list() == expected


def test_sorted_or_as_given():
    rows = table("b", "a", "b", "a")
    assert find_labels(rows, "y", None) == ["a", "b"]
    assert find_labels(rows, "y", ["b", "a"]) == ["b", "a"]


def test_a_misspelling_is_found_and_placed():
    rows = table(*["fresh", "rotten"] * 60, "fresj")
    with pytest.raises(InputError) as failure:
        find_labels(rows, "y", None)
    assert str(failure.value).startswith("reviews.csv, row 122: label 'fresj' is not one of fresh, rotten")
    assert "did you mean 'fresh'?" in str(failure.value)
    assert find_labels(rows, "y", ["fresh", "fresj", "rotten"]) == ["fresh", "fresj", "rotten"]


@pytest.mark.parametrize("rare", ["odd", "class_3", "fre"])
def test_a_rare_label_that_is_meant(rare):
    assert rare in find_labels(table(*["fresh", "class_1"] * 60, rare), "y", None)


def test_a_label_in_other_letters_is_a_misspelling():
    with pytest.raises(InputError, match="did you mean 'fresh'"):
        find_labels(table(*["fresh", "rotten"] * 60, "FRESH"), "y", None)


def test_a_label_that_is_not_among_those_given():
    with pytest.raises(InputError, match=r"row 3: label 'fresj' is not one of fresh, rotten; did you mean 'fresh'\?"):
        find_labels(table("fresh", "fresj"), "y", ["fresh", "rotten"])
    with pytest.raises(InputError, match="no training row has the label 'rotten'"):
        find_labels(table("fresh"), "y", ["fresh", "rotten"])
    with pytest.raises(InputError, match="row 2"):
        check_known(table("x"), "y", ["y"])


def test_one_class_only():
    with pytest.raises(InputError, match="every row has the label 'fresh'"):
        find_labels(table("fresh", "fresh"), "y", None)
