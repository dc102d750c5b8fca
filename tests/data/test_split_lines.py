"""Lines that are written at once are those that are written one by one."""

import io

import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from lighten.data.columns import ROW
from lighten.data.split_lines import lines_of
from lighten.pipeline import Examples
from lighten.pipeline.examples import add_examples

LABELS = ["no", '"quoted"', "yes"]
TEXTS = st.one_of(st.text(), st.text(st.sampled_from('ab"\\/\n\r\t\0\x1f\x7f\x85\u2028,\u00e9')))


@given(st.lists(st.tuples(TEXTS, st.sampled_from(LABELS), st.integers(0, 2**40)), min_size=1))
@example([("", "no", 1), ('"', "yes", 2), ("\\", "no", 3), ("a\nb", "no", 4)])
def test_the_same_bytes(rows):
    texts, labels, numbers = map(list, zip(*rows, strict=True))
    table = pl.DataFrame({"t": texts, "l": labels, ROW: numbers})
    stream = io.BytesIO()
    add_examples(stream, Examples(texts, [LABELS.index(label) for label in labels], numbers))
    assert lines_of(table, "t", "l", LABELS) == stream.getvalue()
