"""Planted evidence: half of each label, the key at any place, nothing in the beginning that gives it away."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from long_data import SAID, Planted, count_tokens, documents, write


@pytest.mark.parametrize("wanted", [Planted(400), Planted(4096, decoys=6), Planted(600, "pair", 2)])
def test_what_is_planted(wanted):
    made = documents(200, wanted, 3)
    assert made == documents(200, wanted, 3) != documents(200, wanted, 4)
    assert sum(document.label == "accepted" for document in made) == 100
    for document in made:
        assert abs(count_tokens(document.text.replace(".", " .")) - 1 - wanted.tokens) < 40
        ours = [part for part in document.text.split(".") if " our " in part]
        said = [next(label for label, words in SAID.items() if any(w in part for w in words)) for part in ours]
        if wanted.kind == "single":
            assert said == [document.label]
        else:
            assert len(said) == 2 and (said[0] == said[1]) == (document.label == "accepted")
        assert document.text.count(" their ") == wanted.decoys


def test_the_key_may_be_anywhere():
    places = np.array([document.places[0] for document in documents(600, Planted(1000), 0)])
    found = np.histogram(places, 5, (0, 1))[0]
    assert found.min() > 80 and found.max() < 165


def test_half_of_a_pair_says_nothing():
    made = documents(400, Planted(400, "pair"), 0)
    first = np.array([any(f"{word} our first" in d.text for word in SAID["accepted"]) for d in made])
    label = np.array([d.label == "accepted" for d in made])
    assert abs((first == label).mean() - 0.5) < 0.1


def test_files(tmp_path):
    write(tmp_path / "a", Planted(200), {"train": 6, "test": 4})
    write(tmp_path / "b", Planted(200), {"train": 6, "test": 4})
    for name in ("train.csv", "test.csv", "planted.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    with (tmp_path / "a/train.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 6 and rows[0].keys() == {"text", "label", "place"}


@pytest.mark.parametrize("options", [{"kind": "three"}, {"tokens": 30}, {"tokens": 400, "decoys": 20}])
def test_what_cannot_be_planted(options):
    with pytest.raises(ValueError, match=r"kind|tokens"):
        Planted(**options)
