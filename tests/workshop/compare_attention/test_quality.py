from __future__ import annotations

import csv
import io
import json

import pytest
from tests.helpers.checkpoints import write_model
from tests.workshop.compare_attention.samples import SHAPE, Machine

from lighten.errors import InputError, LightenError
from lighten.workshop.compare_attention import compare, quality
from lighten.workshop.compare_attention.compare import compare_attention
from lighten.workshop.compare_attention.outcome import as_csv, sentence_of
from lighten.workshop.compare_attention.point import agreement as work
from lighten.workshop.compare_attention.quality import MOST_TEXTS, judged
from lighten.workshop.compare_attention.rounds import Rounds
from lighten.workshop.compare_attention.sample import Drawn

LENGTHS = (256, 1024, 4096)


class Texts:
    source = "rows.csv"

    def __init__(self, longest=10**9):
        self.longest = longest

    def draw(self, tokens, count):
        return Drawn([[5] * tokens] * (count if tokens <= self.longest else 0), joined=min(count, 1))


class Judge:
    """Agrees by 0.5 and 0.7 in turn, and takes as long as the machine's forward passes."""

    def __init__(self, machine, fails=None):
        self.machine, self.fails, self.asked = machine, fails, []

    def __call__(self, kinds, drawn):
        tokens, texts = len(drawn.ids[0]), len(drawn.ids)
        self.asked.append((tokens, texts, tuple(kinds)))
        if self.fails is not None:
            raise self.fails
        self.machine.time += texts * tokens**2 * 1e-6
        values = [0.5 + 0.2 * (at % 2) for at in range(texts)]
        one = {"agreement": values, "difference": values, "first_cosine": values}
        return {"kinds": dict.fromkeys(kinds, one), "first_other": 0.25}


def compared(sample=None, fails=None, rounds=1, **options):
    machine = Machine()
    given = {"shape": SHAPE, "window": 8, "memory": None, "seconds": 1e6, "seed": 0, **options}
    kinds = given.pop("kinds", ("full", "window", "identity"))
    whats = given.pop("whats", ("forward", "training"))
    plan = Rounds(kinds, LENGTHS, whats, rounds=rounds, ask=machine.ask, now=machine.now, **given)
    judge, found = Judge(machine, fails), {}
    points = plan.run(lambda: found.update(judged(plan, sample or Texts(), judge, "m", 512)))
    return found, judge, points, machine


def test_kinds_are_judged_where_full_attention_ran():
    found, judge, _, _ = compared()
    assert judge.asked == [(tokens, MOST_TEXTS, ("window",)) for tokens in LENGTHS]
    assert found["left_out"] is None and found["positions"] == 512
    assert found["texts"] == {"source": "rows.csv", "kind": "rows"}
    assert [(row["kind"], row["tokens"]) for row in found["rows"]] == [("window", tokens) for tokens in LENGTHS]
    row = found["rows"][0]
    assert (row["agreement"], row["agreement_low"], row["agreement_high"]) == (0.6, 0.5, 0.7)
    assert row["texts"] == MOST_TEXTS and row["not_judged"] is None
    assert found["lengths"][0] == {"tokens": 256, "texts": 8, "joined": 1, "first_other": 0.25}
    json.dumps(found)


def test_where_full_attention_was_left_out_nothing_is_judged():
    # 500 + n^2 / 10,000 MB: of 2 GB the nine tenths are exceeded at 4,096 tokens.
    found, judge, _, _ = compared(memory=2000.0)
    assert [tokens for tokens, *_ in judge.asked] == [256, 1024]
    last = found["rows"][-1]
    assert last["agreement"] is None and last["not_judged"] == "full attention was not measured at this length"
    assert found["lengths"][-1]["texts"] == 0


def test_what_was_not_measured_is_not_judged_though_full_attention_was():
    machine = Machine(dies_at=("window", 1024))
    plan = Rounds(
        ("full", "window", "dilated"), LENGTHS, ("forward",), shape=SHAPE, window=8, memory=None, seconds=1e6,
        rounds=1, seed=0, ask=machine.ask, now=machine.now,
    )  # fmt: skip
    judge, found = Judge(machine), {}
    plan.run(lambda: found.update(judged(plan, Texts(), judge, "m", 512)))
    assert (1024, MOST_TEXTS, ("dilated",)) in judge.asked
    rows = {(row["kind"], row["tokens"]): row for row in found["rows"]}
    assert rows["window", 1024]["not_judged"] == "not measured at this length"
    assert rows["dilated", 1024]["agreement"] == 0.6


def test_fewer_texts_where_time_is_short_and_none_where_it_is_gone():
    found, judge, _, machine = compared(seconds=220, rounds=50)
    counts = [texts for _, texts, _ in judge.asked]
    assert counts[0] == MOST_TEXTS and 1 <= counts[-1] < MOST_TEXTS
    assert machine.time <= 221
    found, judge, _, _ = compared(seconds=104)
    assert found["rows"][-1]["not_judged"].startswith("time: about")
    assert found["rows"][0]["agreement"] is None or found["rows"][0]["texts"] >= 1


def test_states_that_would_not_fit_are_fewer_or_none(monkeypatch):
    plan = Rounds(
        ("full", "window"), LENGTHS, ("forward",), shape=SHAPE.with_(hidden=4000), window=8, memory=3000.0,
        seconds=1e6, rounds=1, seed=0, ask=Machine().ask, now=lambda: 0.0,
    )  # fmt: skip
    plan.memory = None
    plan.run()
    weights = (plan.shape.encoder_parameters + (50 + 1024) * 4000) * 4 / 1e6
    states = 2 * 1024 * 4000 * 4 / 1e6
    points = [plan.points[kind, 1024, "forward"] for kind in plan.kinds]
    need = max(point.peaks[0] for point in points) + weights
    plan.memory = (need + 3.5 * states) / 0.9
    assert quality._how_many(plan, 1024, points) == (3, "")
    plan.memory = (need + 0.5 * states) / 0.9
    count, why = quality._how_many(plan, 1024, points)
    assert count == 0 and why.startswith("memory: about") and "the machine has" in why


@pytest.mark.parametrize(("options", "words"), [({"kinds": ("window",)}, "name full"), ({"kinds": ("full",)}, "name")])
def test_without_full_attention_or_another_there_is_nothing_to_compare(options, words):
    found, judge, _, _ = compared(**options)
    assert words in found["left_out"] and not judge.asked and found["rows"] == []


def test_short_texts_dead_processes_and_weights_that_do_not_fit():
    found, _, _, _ = compared(sample=Texts(longest=1024))
    assert "fewer than 4,096 tokens" in found["rows"][-1]["not_judged"] and found["rows"][0]["agreement"]
    found, judge, points, _ = compared(fails=LightenError("ended with SIGKILL"))
    assert len(judge.asked) == 3 and all("SIGKILL" in row["not_judged"] for row in found["rows"])
    assert all(point.seconds for point in points)
    found, judge, points, _ = compared(fails=InputError("the weights do not fit"))
    assert len(judge.asked) == 1 and "do not fit" in found["left_out"] and all(point.seconds for point in points)


def test_the_sentence_and_the_table_say_it():
    found, *_ = compared(whats=("forward",), kinds=("full", "window"))
    row = {"what": "forward", "tokens": 256, "skipped": None}
    points = [row | {"kind": "full", "seconds": 2.0}, row | {"kind": "window", "seconds": 1.0}]
    document = {"what": ["forward"], "points": points, "quality": found}
    assert sentence_of(document).endswith("before training, its states agree with full attention's by 0.60")
    assert "agree" not in sentence_of({**document, "quality": quality.left_out("no weights")})
    rows = list(csv.DictReader(io.StringIO(as_csv(document))))
    assert [one["agreement"] for one in rows] == ["", "0.6"] and rows[1]["texts"] == "8"


def test_a_whole_comparison_of_a_checkpoint(monkeypatch, tmp_path):
    machine = Machine()

    def ask(asked, worker):
        asked = json.loads(json.dumps(asked))
        if asked["do"] == "agreement":
            return work(asked, lambda share: None)
        return machine.ask(asked["kind"], asked["tokens"], asked["what"])

    monkeypatch.setattr(compare, "ask", ask)
    monkeypatch.setattr("lighten.workshop.compare_attention.point._die_first", lambda: None)
    model = write_model(tmp_path / "model")
    (tmp_path / "rows.jsonl").write_text("".join(f'{{"text": "the film was {"good " * n}"}}\n' for n in range(1, 60)))
    asked = {"tokens": [16, 64], "window": 4, "threads": 1, "rounds": 1}
    document = compare_attention(model, data=str(tmp_path / "rows.jsonl"), **asked)
    found = document["quality"]
    json.dumps(document)
    assert found["left_out"] is None and found["positions"] == 48
    rows = {(row["kind"], row["tokens"]): row for row in found["rows"]}
    assert len(rows) == 8 and all(row["agreement"] < 1 for row in rows.values())
    for tokens in (16, 64):
        assert rows["window", tokens]["agreement"] == pytest.approx(rows["longformer", tokens]["agreement"], abs=1e-3)
    assert [one["joined"] > 0 for one in found["lengths"]] == [False, True]
    without = compare_attention(model, **asked)["quality"]
    assert without["texts"] == {"source": None, "kind": "random tokens"} and len(without["rows"]) == 8
    assert without["rows"] == compare_attention(model, **asked)["quality"]["rows"] != found["rows"]
    assert "--model" in compare_attention(**asked)["quality"]["left_out"]
