"""The benchmark of attention: planted documents of several lengths, and graphs compared in every real token."""

from __future__ import annotations

import csv
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.helpers.checkpoints import one_thread

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import attention_parts
from attention_comparison import markdown
from attention_parts import other_lengths
from attention_planted import TINY, documents, planted
from bench_attention import TINY as CONFIG
from long_data import ADJECTIVES, NOUNS, PLACES, SAID, VERBS, count_tokens

__all__ = ["one_thread"]
SMALL = replace(TINY, training=((160, 3), (200, 1), (544, 2)), validation=2, test=2)


def write_bert(folder: Path) -> Path:
    """Write a tiny BERT to which each word of the documents is one token."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    folder.mkdir()
    words = " ".join(
        [*NOUNS, *VERBS, *ADJECTIVES, *PLACES, *sum(SAID.values(), ()), "the court our their request and ."]
    )
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set(words.split()))]
    tokenizer = Tokenizer(models.WordPiece({piece: at for at, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=200,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def lengths_of(file: Path) -> list[int]:
    """Return the tokens of each text."""
    with file.open(encoding="utf-8", newline="") as stream:
        return [sum(count_tokens(part) for part in row["text"].split(". ")) for row in csv.DictReader(stream)]


def test_training_documents_have_all_lengths_and_the_others_one(tmp_path):
    folder = documents(tmp_path / "data", SMALL, 0)
    lengths = lengths_of(folder / "train.csv")
    assert len(lengths) == 6
    for length, most in zip(lengths, [544, 544, 160, 160, 160, 200], strict=True):
        assert most - 80 < length <= most
    for part in ("validation", "test"):
        found = lengths_of(folder / f"{part}.csv")
        assert len(found) == 2 and min(found) > SMALL.tokens - 80
    before = (folder / "train.csv").read_bytes()
    assert documents(folder, SMALL, 0) == folder and (folder / "train.csv").read_bytes() == before


@pytest.mark.slow
def test_both_are_trained_and_judged(tmp_path):
    found = planted(tmp_path, TINY, 0.2, 0, str(write_bert(tmp_path / "bert")), {"precision": "fp32"})
    rows = found["planted_rows"]
    assert (rows["window"]["tokens"], rows["truncated"]["tokens"]) == (TINY.tokens, TINY.short)
    assert rows["window"]["n"] == rows["truncated"]["n"] == TINY.test
    low, high = found["planted_accuracy"]["ci95"]
    assert 0 <= low <= found["planted_accuracy"]["value"] <= high <= 1


def test_every_real_token_of_a_graph_is_compared(monkeypatch):
    real = attention_parts.open_session

    class Wrong:
        """Answers wrongly for the last real token of the longest text."""

        def __init__(self, session):
            self.session = session

        def run(self, names, feed):
            found = [np.array(one) for one in self.session.run(names, feed)]
            if found[-1].ndim == 3:
                found[-1][0, -1] += 1
            return found

    config = {**CONFIG, "num_hidden_layers": 1}
    monkeypatch.setattr(attention_parts, "_trace", lambda model, path: path.write_bytes(drawn(path)))

    def drawn(path):
        return (path.parent / "drawn.onnx").read_bytes()

    right = {row["graph"]: row["error"] for row in other_lengths(config, [40], 8, 0)["other_lengths"]}
    assert set(right) == {"first", "drawn", "traced"} and max(right.values()) < 1e-4
    monkeypatch.setattr(attention_parts, "open_session", lambda *given, **more: Wrong(real(*given, **more)))
    wrong = {row["graph"]: row["error"] for row in other_lengths(config, [40], 8, 0)["other_lengths"]}
    assert wrong["drawn"] > 0.9


def test_the_tables_of_the_documents():
    point = {"seconds": 1.25, "seconds_low": 1.0, "seconds_high": 1.5, "calls": 2, "peak_mb": 700.0, "skipped": None}
    points = [{"kind": "window", "what": "forward", "tokens": tokens, **point} for tokens in (512, 2048)]
    slopes = [
        {"kind": "window", "what": "forward", "slope": at, "ci95": None, "from": first, "to": 2048, "points": 2}
        for first, at in ((512, 0.9), (1024, 1.02))
    ]
    document = {
        "kinds": {"full": "", "window": ""}, "what": ["forward"], "tokens": [512, 2048],
        "points": points, "slopes": slopes, "quality": None,
    }  # fmt: skip
    heading, _, full, window = markdown(document).splitlines()
    assert heading == "| Forward | 512 | 2,048 | slope |"
    assert full == "| full | - | - |  |"
    assert window == "| window | 1.25 s, 700 MB | 1.25 s, 700 MB | 1.02 from 1,024 to 2,048 |"
