"""Which classifier lies in a folder."""

from __future__ import annotations

import shutil

import numpy as np
import onnxruntime
import pytest
from safetensors.numpy import save_file
from tests.helpers.checkpoints import token_batch
from transformers import AutoModel

from lighten.errors import InputError
from lighten.export.checkpoint import graph_of, precision_of
from lighten.export.graph import Precision
from lighten.models.checkpoint import read_state
from lighten.pipeline.files import write_json


def run(graph, ids, mask):
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {"input_ids": ids, "attention_mask": mask}
    return session.run(["logits"], {i.name: feeds[i.name] for i in session.get_inputs()})[0]


def operators(graph):
    return {node.op_type for node in graph.graph.node}


def test_a_classifier(bert):
    assert precision_of(bert) == Precision()
    found = operators(graph_of(bert))
    assert "Attention" in found and "QAttention" not in found


@pytest.mark.parametrize("bits", [7, 8])
def test_the_note_of_quantise(tmp_path, bert, bits):
    folder = shutil.copytree(bert, tmp_path / "model")
    write_json(folder / "quantise.json", {"format": "int8", "bits": bits})
    assert precision_of(folder) == Precision(int8=True, bits=bits)
    assert "QAttention" in operators(graph_of(folder))


def test_a_frozen_encoder(tmp_path, bert):
    """The head in its own file and the mean of the states replace the classifier's head and first token."""
    folder = shutil.copytree(bert, tmp_path / "model")
    rng = np.random.default_rng(0)
    head = {"weight": rng.normal(size=(32, 3)).astype(np.float32), "bias": rng.normal(size=3).astype(np.float32)}
    save_file(head, folder / "frozen.safetensors")
    ids, mask = token_batch(90, 5, 12, 0)
    import torch

    with torch.no_grad():
        model = AutoModel.from_pretrained(bert).eval()
        states = model(torch.from_numpy(ids), torch.from_numpy(mask)).last_hidden_state.numpy()
    means = np.array([states[i, : mask[i].sum()].mean(0) for i in range(5)])
    np.testing.assert_allclose(run(graph_of(folder), ids, mask), means @ head["weight"] + head["bias"], atol=1e-4)
    assert set(read_state(folder)) == set(read_state(bert))


def test_a_linear_model_needs_no_weights(tmp_path):
    tensors = {
        "ngrams": np.array([[3], [4]], np.int64),
        "idf": np.ones(2, np.float32),
        "weight": np.array([[1, 0], [0, 1]], np.float32),
        "bias": np.zeros(2, np.float32),
    }
    save_file(tensors, tmp_path / "linear.safetensors")
    ids = np.array([[3, 0], [4, 4]], np.int64)
    np.testing.assert_allclose(run(graph_of(tmp_path), ids, None), [[1, 0], [0, 1]], atol=1e-6)


def test_an_empty_folder(tmp_path):
    with pytest.raises(InputError, match=r"no config\.json; the folder holds nothing"):
        graph_of(tmp_path)
    write_json(tmp_path / "config.json", {"model_type": "bert"})
    with pytest.raises(InputError, match=r"no model\.safetensors; the folder holds config\.json"):
        graph_of(tmp_path)
