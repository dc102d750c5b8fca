"""Draws TF-IDF + linear over token ids as an ONNX graph: counts, weights and product in one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from safetensors.numpy import load_file

from lighten.export.draw import Graph
from lighten.models.layout import Array


def linear_graph(ngrams: Array, idf: Array, weight: Array, bias: Array) -> onnx.ModelProto:
    """Draw the classifier (input ``input_ids`` [batch, tokens], output ``logits`` [batch, classes]).

    Padding is not among the n-grams, so that it counts for nothing and no mask is needed. Term counts enter
    as 1 + log(count), vectors have length one, as scikit-learn's sublinear TfidfVectorizer has it.

    Args:
        ngrams: token ids [features, longest n], padded with -1.
        idf: [features].
        weight: [features, classes].
        bias: [classes].
    """
    graph = Graph()
    lengths = (ngrams >= 0).sum(1)
    order = np.argsort(lengths, kind="stable")  # the operator wants the unigrams first, then the bigrams
    longest = int(ngrams.shape[1])
    pools = [ngrams[order][lengths[order] == n + 1, : n + 1].ravel() for n in range(longest)]
    starts = np.concatenate([[0], np.cumsum([len(pool) for pool in pools])[:-1]])
    counts = graph.op(
        "TfIdfVectorizer",
        "input_ids",
        mode="TF",
        min_gram_length=1,
        max_gram_length=longest,
        max_skip_count=0,
        ngram_counts=starts.tolist(),
        ngram_indexes=list(range(len(order))),
        pool_int64s=np.concatenate(pools).tolist(),
    )
    one = graph.weight("one", np.array(1, np.float32))
    damped = graph.op("Add", graph.op("Log", graph.op("Max", counts, one)), one)
    terms = graph.op("Mul", graph.op("Min", counts, one), damped)  # zero where the count is zero
    weighted = graph.op("Mul", terms, graph.weight("idf", idf[order]))
    axis = graph.weight("axis", np.array([1], np.int64))
    length = graph.op(
        "Max", graph.op("ReduceL2", weighted, axis, keepdims=1), graph.weight("tiny", np.array(1e-12, np.float32))
    )
    vector = graph.op("Div", weighted, length)
    logits = graph.op("Gemm", vector, graph.weight("weight", weight[order]), graph.weight("bias", bias))
    return graph.model(["input_ids"], logits, "logits", int(bias.shape[0]))


def read_linear(file: Path) -> onnx.ModelProto:
    """Draw the classifier stored by the step ``linear``."""
    tensors = load_file(file)
    return linear_graph(tensors["ngrams"], tensors["idf"], tensors["weight"], tensors["bias"])
