"""What Olive is asked for: dynamic int8 of a checkpoint, or a search over its passes.

The checkpoint is loaded with plain attention: from the default one (fused in torch) the exported graph has products
that neither Olive nor ONNX Runtime puts together again, and Olive's models would be slower than they can be.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lighten.pipeline import read_json

TEXTS = Path(__file__).parent / "olive_texts.py"
INT8 = {
    "default": {},
    "per column, 7 bits": {"per_channel": True, "reduce_range": True},
}
"""Olive's dynamic int8 by name: its options. The second is what ONNX Runtime advises for CPUs without VNNI."""
CALIBRATION = 64
"""Training texts for static quantisation: all activations of all of them are kept in memory at once."""


def base(checkpoint: Path, out: Path) -> dict[str, Any]:
    """Return what every configuration has: checkpoint to graph, operators fused, where all is written."""
    heads = read_json(checkpoint / "config.json")
    return {
        "input_model": {
            "type": "HfModel",
            "model_path": str(checkpoint.resolve()),
            "task": "text-classification",
            "load_kwargs": {"attn_implementation": "eager"},
        },
        "passes": {
            "conversion": {"type": "OnnxConversion"},
            "transformer": {
                "type": "OrtTransformersOptimization",
                "model_type": "bert",
                "num_heads": heads["num_attention_heads"],
                "hidden_size": heads["hidden_size"],
            },
        },
        "search_strategy": False,
        "evaluate_input_model": False,
        "cache_dir": str((out / "cache").resolve()),
        "output_dir": str((out / "chosen").resolve()),
        "log_severity_level": 1,
    }


def int8(checkpoint: Path, out: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of dynamic int8, without a search."""
    made = base(checkpoint, out)
    made["passes"]["int8"] = {"type": "OnnxDynamicQuantization", **options}
    return made


def search(
    checkpoint: Path, data: Path, out: Path, *, minutes: float, floor: float, target: Mapping[str, int], seed: int
) -> dict[str, Any]:
    """Return the configuration of a search: the fastest model that loses no more than so many points.

    The space is what Olive declares for its quantisation: dynamic or static, signed or not, per column or not, seven
    bits or eight, calibration, graph format; but for the preprocessing, which stays on. Tuning of sessions is left
    out: all models are measured with one setting.

    Args:
        checkpoint: the fine-tuned model.
        data: folder with ``train.jsonl`` and ``validation.jsonl``.
        out: where Olive writes.
        minutes: after which no further candidate is begun.
        floor: points of accuracy that may be lost on validation.
        target: ``threads`` and ``tokens``.
        seed: of the sampler.
    """
    described = read_json(checkpoint / "lighten.json")
    session = {"intra_op_num_threads": target["threads"], "inter_op_num_threads": 1}
    where = {"inference_settings": {"onnx": {"session_options": session}}}

    def texts(name: str, part: str, **more: int) -> dict[str, Any]:
        return {
            "name": name,
            "user_script": str(TEXTS),
            "load_dataset_config": {
                "type": "lighten_texts",
                "file": str((data / f"{part}.jsonl").resolve()),
                "model": str(checkpoint.resolve()),
                "max_tokens": described["preprocessing"]["max_tokens"],
                **more,
            },
            "pre_process_data_config": {"type": "skip_pre_process"},
            "post_process_data_config": {"type": "text_classification_post_process"},
            "dataloader_config": {"type": "default_dataloader", "batch_size": 1},
        }

    latency = {"name": "avg", "priority": 1}
    accuracy = {
        "name": "accuracy_score",
        "priority": 2,
        "metric_config": {"task": "multiclass", "num_classes": len(described["labels"])},
        "goal": {"type": "max-degradation", "value": floor / 100},
    }
    made = base(checkpoint, out)
    made["passes"]["quantization"] = {
        "type": "OnnxQuantization",
        "data_config": "calibration",
        "quant_preprocess": True,  # without it most candidates fail: the operators that were fused left wrong shapes
    }
    return {
        **made,
        "data_configs": [
            texts("validation", "validation"),
            texts("timed", "validation", length=target["tokens"], limit=1),
            texts("calibration", "train", length=target["tokens"], limit=CALIBRATION),
        ],
        "evaluators": {
            "both": {
                "metrics": [
                    {
                        "name": "latency",
                        "type": "latency",
                        "data_config": "timed",
                        "sub_types": [latency],
                        "user_config": where,
                    },
                    {
                        "name": "accuracy",
                        "type": "accuracy",
                        "data_config": "validation",
                        "sub_types": [accuracy],
                        "user_config": where,
                    },
                ]
            }
        },
        "evaluator": "both",
        "search_strategy": {
            "execution_order": "joint",
            "sampler": "tpe",
            "sampler_config": {"seed": seed},
            "max_time": round(60 * minutes),
        },
    }
