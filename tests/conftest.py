"""Tiny real models for every room's tests."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before anything imports onnxruntime

import hypothesis
import pytest

# No test depends on how fast the machine is.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

WORDS = ["a", "an", "the", "film", "movie", "was", "is", "great", "good", "triumph", "warm", "bad", "dull", "mess"]
WORDS += ["boring", "rotten", "fresh", "funny", "not", "and", "of", "it"]


def make_tokenizer(path: Path) -> int:
    """Write a real WordPiece ``tokenizer.json`` (a few words, every letter); returns its number of pieces."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    pieces += [item for item in letters if item not in pieces] + [f"##{item}" for item in letters]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    # As training leaves it behind: the runtime must undo both.
    tokenizer.enable_padding(length=64)
    tokenizer.enable_truncation(max_length=64)
    tokenizer.save(str(path))
    return len(pieces)


def make_graph(
    path: Path, vocabulary: int, classes: int, seed: int, slow_factor: int = 0, token_types: bool = False
) -> None:
    """Write ``logits = mean of the embeddings of the real tokens, times a matrix, plus a bias``.

    `slow_factor` puts that many products with the identity in between: slower, and otherwise the same.
    """
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    width = 32
    random = np.random.default_rng(seed)
    weights = {
        "words": random.normal(size=(vocabulary, width)).astype(np.float32),
        "head": random.normal(size=(width, classes)).astype(np.float32),
        "bias": random.normal(size=classes).astype(np.float32),
        "last": np.array([-1], np.int64),
        "one": np.array([1], np.int64),
    }
    if slow_factor:
        weights["turn"] = np.eye(width, dtype=np.float32)
    nodes = [helper.make_node("Gather", ["words", "input_ids"], ["x0"])]
    if token_types:
        nodes = [
            helper.make_node("Add", ["input_ids", "token_type_ids"], ["typed"]),
            helper.make_node("Gather", ["words", "typed"], ["x0"]),
        ]
    for index in range(slow_factor):
        nodes.append(helper.make_node("MatMul", [f"x{index}", "turn"], [f"x{index + 1}"]))
    nodes += [
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["mask3"]),
        helper.make_node("Mul", [f"x{slow_factor}", "mask3"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "one"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["mask", "one"], ["count"], keepdims=1),
        helper.make_node("Div", ["sum", "count"], ["mean"]),
        helper.make_node("Gemm", ["mean", "head", "bias"], ["logits"]),
    ]
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if token_types else [])]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in names],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", classes])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))


def write_model_folder(
    path: Path,
    labels: Sequence[str] = ("fresh", "rotten"),
    seed: int = 0,
    slow_factor: int = 0,
    max_tokens: int = 16,
    token_types: bool = False,
) -> Path:
    """Write a complete model folder around a tiny graph; returns `path`."""
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    path.mkdir(parents=True, exist_ok=True)
    pieces = make_tokenizer(path / "tokenizer.json")
    make_graph(path / "onnx/model.onnx", pieces, len(labels), seed, slow_factor, token_types)
    named = {str(index): label for index, label in enumerate(labels)}
    config: dict[str, Any] = {
        "model_type": "bert",
        "vocab_size": pieces,
        "max_position_embeddings": 128,
        "pad_token_id": 0,
        "id2label": named,
        "label2id": {label: int(index) for index, label in named.items()},
    }
    (path / "config.json").write_text(json.dumps(config))
    (path / "model.safetensors").write_bytes(b"\0" * 1000)

    texts = ["a triumph", "a dull mess", ""]
    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    tokenizer.no_padding()
    session = onnxruntime.InferenceSession(str(path / "onnx/model.onnx"), providers=["CPUExecutionProvider"])
    cases = []
    for text in texts:
        ids = np.array([tokenizer.encode(text).ids], np.int64)
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        if token_types:
            feeds["token_type_ids"] = np.zeros_like(ids)
        logits = session.run(["logits"], feeds)[0][0]
        cases.append({"text": text, "logits": [float(x) for x in logits], "label": labels[int(logits.argmax())]})

    files = {}
    for file in sorted(item for item in path.rglob("*") if item.is_file()):
        content = file.read_bytes()
        role = "training" if file.suffix == ".safetensors" else "serving"
        files[file.relative_to(path).as_posix()] = {
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "role": role,
        }
    description = {
        "format": 1,
        "task": "text-classification",
        "labels": list(labels),
        "graph": "onnx/model.onnx",
        "preprocessing": {"max_tokens": max_tokens, "pad_token_id": 0, "lowercase": None},
        "runtime": {"threads": 1, "spinning": False},
        "plan": [],
        "files": files,
        "self_test": cases,
    }
    (path / "lighten.json").write_text(json.dumps(description, indent=2))
    return path


@pytest.fixture(scope="session")
def make_model_folder() -> Callable[..., Path]:
    """The function that writes a model folder: ``make_model_folder(path, labels, seed, slow_factor)``."""
    return write_model_folder


@pytest.fixture(scope="session")
def shared_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tiny model folder for the whole test session: never write into it."""
    return write_model_folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A tiny model folder of the test's own."""
    return write_model_folder(tmp_path / "model")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with whole builds: files are dealt out to processes in this order, and a long one must not be the last."""
    items.sort(key=lambda item: "search" not in item.path.parts)
