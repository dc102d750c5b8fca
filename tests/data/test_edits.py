import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from lighten.data.clean import Clean
from lighten.data.columns import ROW, Columns
from lighten.data.edits import apply_edits, excerpt


def test_long_texts_are_shown_from_shortly_before_the_difference():
    before, after = excerpt("x" * 500 + "old" + "y" * 500, "x" * 500 + "new" + "y" * 500)
    assert before.startswith("...x") and "old" in before and "new" in after
    assert len(before) <= 200 and len(after) <= 200
    assert excerpt("a", "b") == ("a", "b")


def test_five_examples_and_all_counts():
    table = pl.DataFrame({"t": [f"a{i}" for i in range(9)], ROW: list(range(2, 11))})
    edited, note = apply_edits(Clean(), table, Columns("t"), lambda text: (text[1:], {"cut": 2}))
    assert edited["t"].to_list() == [str(i) for i in range(9)]
    assert note["counts"] == {"cut": 18} and note["changed"] == 9
    assert [example["row"] for example in note["examples"]] == [2, 3, 4, 5, 6]


@given(st.lists(st.one_of(st.none(), st.sampled_from(["", "a", "bb", "bb c"]))), st.sampled_from(["train", "test"]))
def test_totals_add_up_in_every_part(texts, part):
    table = pl.DataFrame({"t": texts}, schema={"t": pl.String})
    edited, note = apply_edits(
        Clean(), table, Columns("t", part=part), lambda text: ("", {"x": 1}) if text == "a" else None
    )
    assert note["rows_in"] == len(texts) and note["rows_out"] == edited.height
    assert note["rows_in"] - sum(note["dropped"].values()) == note["rows_out"]
    assert note["changed"] == texts.count("a")


@given(st.lists(st.sampled_from([None, "", "ab", "b", "ab c", "cab"])))
def test_what_is_not_suspect_is_not_looked_at_and_all_else_is_the_same(texts):
    table = pl.DataFrame({"t": texts}, schema={"t": pl.String})
    seen = []

    def edit(text):
        seen.append(text)
        return (text.replace("a", ""), {"a": 1}) if "a" in text else None

    whole = apply_edits(Clean(), table, Columns("t"), edit)
    assert set(seen) == set(texts) - {None} and len(seen) == len(set(seen))
    seen.clear()
    gated = apply_edits(Clean(), table, Columns("t"), edit, suspect=pl.col("t").str.contains("a"))
    assert set(seen) == {text for text in texts if text and "a" in text}
    assert gated[0].equals(whole[0]) and gated[1] == whole[1]
