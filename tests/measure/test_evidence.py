import json

import numpy as np
import pytest

from lighten.errors import InputError
from lighten.measure import costs, gather, quality_of, quality_on
from lighten.measure.cost import time_in_fresh_process, timing_run
from lighten.progress import Progress
from lighten.runtime import load

TARGET = {"threads": 1, "batch": 1, "tokens": 8}
WORDS = ["a", "great", "warm", "triumph", "film", "not", "dull", "bad", "boring", "mess", "and", "it", "is", "funny"]


@pytest.fixture(scope="module")
def place(tmp_path_factory, make_model_folder):
    root = tmp_path_factory.mktemp("evidence")
    make_model_folder(root / "reference", seed=0, slow_factor=300)
    make_model_folder(root / "chosen", seed=1)
    make_model_folder(root / "turned", labels=("rotten", "fresh"), seed=1)
    make_model_folder(root / "other", labels=("good", "bad"))
    random = np.random.default_rng(0)
    lines = [
        {
            "text": " ".join(random.choice(WORDS, random.integers(1, 9))),
            "label": ["fresh", "rotten"][random.integers(2)],
        }
        for _ in range(150)
    ]
    (root / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


@pytest.fixture(scope="module")
def texts(place):
    return [json.loads(line) for line in (place / "test.jsonl").read_text().splitlines()]


class Listener(Progress):
    def __init__(self):
        self.shares = []

    def show(self, stage):
        self.shares.append(stage.done)


@pytest.fixture(scope="module")
def found(place):
    listener = Listener()
    evidence = gather(
        chosen=place / "chosen",
        reference=place / "reference",
        test=place / "test.jsonl",
        target=TARGET,
        seed=3,
        seconds=0.4,
        progress=listener,
    )
    assert listener.shares == sorted(listener.shares) and listener.shares[-1] == 1.0
    return evidence


def test_quality_is_what_the_folders_predict(found, place, texts):
    for name in ("chosen", "reference"):
        predicted = [item.label for item in load(place / name).predict([item["text"] for item in texts])]
        right = 100 * np.mean([one == other["label"] for one, other in zip(predicted, texts, strict=True)])
        quality = found[name]["quality"]
        assert quality["value"] == pytest.approx(right, abs=1e-3)
        assert quality["ci95"][0] < quality["value"] < quality["ci95"][1]
        assert (quality["metric"], quality["split"], quality["n"]) == ("accuracy", "test", 150)
        assert [["fresh", "rotten"][index] for index in found["predictions"][name]] == predicted
    chosen, reference = found["chosen"]["quality"], found["reference"]["quality"]
    assert chosen["delta"] == pytest.approx(chosen["value"] - reference["value"], abs=1e-3)
    assert reference["delta"] == 0 and reference["delta_ci95"] == [0, 0]


def test_comparison_agrees_with_its_parts(found):
    comparison, delta = found["comparison"], found["chosen"]["quality"]["delta_ci95"]
    assert comparison["points_lost"] == -found["chosen"]["quality"]["delta"]
    assert comparison["points_lost_ci95"] == [-delta[1], -delta[0]]
    assert comparison["size_ratio"] == pytest.approx(
        found["reference"]["size_mb"] / found["chosen"]["size_mb"], rel=0.01
    )
    for size in ("1", "32"):
        low, high = comparison[f"speedup_batch{size}_ci95"]
        assert 1.2 < low <= comparison[f"speedup_batch{size}"] <= high


def test_metrics_have_the_names_of_result_json(found):
    from lighten.pipeline.result import Latency, Metrics, Quality

    json.dumps(found)
    for name in ("chosen", "reference"):
        assert set(found[name]) == set(Metrics.__annotations__)
        assert set(found[name]["quality"]) == set(Quality.__annotations__)
        assert set(found[name]["latency_ms"]) == set(Latency.__annotations__)
        assert all(found[name][key] > 0 for key in ("throughput_per_s", "size_mb", "peak_memory_mb", "cold_start_ms"))


def test_the_reference_may_be_the_answer(place):
    folder = place / "chosen"
    found = gather(
        chosen=folder, reference=folder, test=place / "test.jsonl", target={**TARGET, "batch": 2}, seconds=0.2
    )
    assert found["comparison"]["points_lost"] == 0 and found["comparison"]["size_ratio"] == 1
    assert 0.5 < found["comparison"]["speedup_batch1"] < 2
    assert found["chosen"]["peak_memory_mb"] == found["reference"]["peak_memory_mb"]
    assert found["chosen"]["latency_ms"]["batch"] == 2


def test_costs_without_any_example(place):
    found = costs({"reference": place / "reference", "shape": place / "chosen"}, TARGET, seconds=0.2)
    assert set(found) == {"reference", "shape"}
    for item in found.values():
        assert set(item) == {"latency_ms", "throughput_per_s", "size_mb", "peak_memory_mb"}
    assert found["shape"]["latency_ms"]["p50"] < found["reference"]["latency_ms"]["p50"]
    assert found["shape"]["throughput_per_s"] > found["reference"]["throughput_per_s"]


def test_labels_in_another_order_are_brought_into_line(place, texts):
    answers = quality_on(
        {"chosen": place / "chosen", "turned": place / "turned"}, place / "test.jsonl", threads=1, batch=4
    )
    assert answers.labels == ("fresh", "rotten")
    turned = load(place / "turned").logits([item["text"] for item in texts])[:, ::-1]
    np.testing.assert_allclose(answers.logits["turned"], turned, atol=1e-5)
    quality = quality_of(answers, "turned", "chosen", split="validation", metric="macro_f1")
    assert quality["delta"] == pytest.approx(
        quality["value"] - quality_of(answers, "chosen", "chosen", split="validation", metric="macro_f1")["value"],
        abs=1e-3,
    )
    assert (quality["metric"], quality["split"]) == ("macro_f1", "validation")


def test_models_with_other_labels_are_refused(place):
    with pytest.raises(InputError, match="other labels"):
        quality_on({"chosen": place / "chosen", "other": place / "other"}, place / "test.jsonl", threads=1)


def test_an_unknown_label_in_the_examples_is_refused(place, tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"text": "a", "label": "fresj"}\n')
    with pytest.raises(InputError, match=r"bad\.jsonl, line 1: label 'fresj'.*did you mean 'fresh'"):
        quality_on({"chosen": place / "chosen"}, tmp_path / "bad.jsonl", threads=1)


def test_a_run_may_be_about_some_of_the_models(place):
    folders = {"one": place / "reference", "other": place / "chosen"}
    runs = [timing_run(1, 4, 3, 0.0), {**timing_run(2, 4, 3, 0.0), "names": ["other"]}]
    both, some = time_in_fresh_process(folders, 1, runs)
    assert set(both) == {"one", "other"} and set(some) == {"other"}
    assert some["other"].batch == 2 and some["other"].calls >= 3
