"""Ray itself, where it is installed: the same splits from a cluster on this machine."""

import json

import pytest

from lighten.data import prepare
from lighten.data.work import Work
from lighten.recipe import Data


@pytest.mark.slow
def test_a_cluster_makes_the_same_splits(tmp_path):
    ray = pytest.importorskip("ray")
    lines = [
        json.dumps({"text": f"text  number {number} &amp; more", "label": "ab"[number % 2]}) for number in range(90)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    made = {}
    try:
        for executor in ("local", "ray"):
            given = Data(
                train=str(tmp_path / "rows.jsonl"),
                text="text",
                label="label",
                prepare=["clean", "deduplicate"],
                executor=executor,
            )
            out = tmp_path / executor
            report = prepare(given, 0, out, work=Work(tmp_path / f"work-{executor}", workers=2, rows=20))
            made[executor] = (report["rows_read"], [(out / f"{part}.jsonl").read_bytes() for part in report["splits"]])
        assert ray.is_initialized()
    finally:
        ray.shutdown()
    assert made["ray"] == made["local"]
