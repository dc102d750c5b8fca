"""Draws a Llama-type model as one graph for prompts and for token by token, with a cache of keys and values.

Inputs and outputs have the names that transformers.js and optimum gave them: ``input_ids`` [batch, tokens],
``attention_mask`` [batch, past + tokens], ``past_key_values.{i}.key`` and ``.value`` [batch, key heads, past, head
size]; ``logits`` [batch, kept, vocabulary] and ``present.{i}.key`` and ``.value``. ``num_logits_to_keep`` is how many
of the last tokens get logits, 0 for all: of a prompt only the last one's are wanted, and the head over 49,152
pieces costs as much as a fifth of a small model.

Padding is on the right. Where the cache given as past and as present is one buffer longer than the text, attention
writes into it in place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper

from lighten.errors import InputError
from lighten.export.blocks import draw_product, draw_rows, quantise_rows_in_blocks
from lighten.export.draw import MICROSOFT, Graph
from lighten.models.decoder.view import Decoder, DecoderLayer, Linear
from lighten.models.layout import Array
from lighten.models.quantised.grids import Packed

PAST, PRESENT = "past_key_values.{i}.{part}", "present.{i}.{part}"
HEAD_MULTIPLE = 16
_END = np.iinfo(np.int64).max


@dataclass(frozen=True)
class WeightBits:
    """How weights are stored.

    Attributes:
        body: bits of the layers' products: 32, 8 or 4.
        head: bits of embeddings and head: 32, 8 or 4. They suffer more than the layers.
        block: numbers that share a scale.
        whole: zero points are whole numbers. Without, grids may begin anywhere, for two small operators more per
            product (see `lighten.models.quantised.grids`).
    """

    body: int = 32
    head: int = 32
    block: int = 32
    whole: bool = False


def decoder_graph(decoder: Decoder, bits: WeightBits | None = None) -> onnx.ModelProto:
    """Draw a decoder; weights in fp32 or in blocks.

    Raises:
        InputError: heads of a size that ONNX Runtime's attention does not take.
    """
    if decoder.head_size % HEAD_MULTIPLE:
        raise InputError(
            f"heads have {decoder.head_size} channels; ONNX Runtime's attention takes multiples of {HEAD_MULTIPLE}",
            "config.json",
        )
    return _Drawing(decoder, bits or WeightBits()).model()


class _Drawing:
    def __init__(self, decoder: Decoder, bits: WeightBits) -> None:
        self.decoder, self.bits, self.graph = decoder, bits, Graph()
        self.hidden = decoder.words.shape[1]
        # One name for a table that is embeddings and head: its bytes are stored once.
        self.tied = decoder.head is None

    def model(self) -> onnx.ModelProto:
        graph, decoder = self.graph, self.decoder
        self._lengths()
        graph.weight("cosines", decoder.cosines)
        graph.weight("sines", decoder.sines)
        table = self._table() if self.bits.head < 32 and self.hidden % self.bits.block == 0 else None
        if table is not None:
            x = draw_rows(graph, "input_ids", table.blocks, "embeddings")
        else:
            x = graph.op("Gather", graph.weight("embeddings", decoder.words), "input_ids")
        normed = self._first_norm(x)
        for index, layer in enumerate(decoder.layers):
            following = decoder.layers[index + 1].attention_norm if index + 1 < len(decoder.layers) else decoder.norm
            x, normed = self._layer(index, layer, x, normed, following)
        start = graph.op("Reshape", graph.op("Neg", "num_logits_to_keep"), self._numbers("one", [1]))
        last = graph.op("Slice", normed, start, self._numbers("end", [_END]), self._numbers("axis", [1]))
        if not self.tied:
            assert decoder.head is not None
            logits = self._product(last, Linear(decoder.head, None), "head", self.bits.head)
        elif table is not None:
            logits = draw_product(graph, last, table, "embeddings")
        else:
            logits = graph.fused("FusedMatMul", last, "embeddings", transB=1)
        graph.nodes.append(helper.make_node("Identity", [logits], ["logits"], name="result"))
        return self._finish()

    def _table(self) -> Packed:
        """Rows are gathered from the bytes that the head multiplies with, so that there are no means in them."""
        return quantise_rows_in_blocks(self.decoder.words, self.bits.head, self.bits.block, whole=True)

    def _lengths(self) -> None:
        """What attention wants to know: the last position of each text, and the longest length of them all."""
        graph = self.graph
        total = graph.op("ReduceSum", "attention_mask", self._numbers("axis", [1]), keepdims=0)
        last = graph.op("Sub", total, self._numbers("one", [1]))
        self.last = graph.op("Cast", last, to=TensorProto.INT32)
        longest = graph.op("Gather", graph.op("Shape", "attention_mask"), self._numbers("second", 1))
        self.longest = graph.op("Cast", longest, to=TensorProto.INT32)

    def _first_norm(self, x: str) -> str:
        gain = self.graph.weight("layer0.attention_norm", self.decoder.layers[0].attention_norm)
        # The operator lives in ONNX Runtime's contrib schemas under the default domain.
        return self.graph.op("SimplifiedLayerNormalization", x, gain, axis=-1, epsilon=self.decoder.epsilon)

    def _layer(self, index: int, layer: DecoderLayer, x: str, normed: str, following: Array) -> tuple[str, str]:
        """Return the states after the layer, and the same normed for what comes next."""
        graph, decoder, name = self.graph, self.decoder, f"layer{index}"
        past = [PAST.format(i=index, part=part) for part in ("key", "value")]
        present = [PRESENT.format(i=index, part=part) for part in ("key", "value")]
        qkv = self._product(normed, layer.qkv, f"{name}.qkv", self.bits.body)
        attended = f"{name}.attended"
        graph.nodes.append(
            helper.make_node(
                "GroupQueryAttention",
                [qkv, "", "", *past, self.last, self.longest, "cosines", "sines"],
                [attended, *present],
                name=f"{name}.attention",
                domain=MICROSOFT,
                num_heads=decoder.heads,
                kv_num_heads=decoder.key_heads,
                do_rotary=1,
            )
        )
        out = self._product(attended, layer.out, f"{name}.out", self.bits.body)
        x, normed = self._add_and_norm(x, out, f"{name}.norm", layer.norm)
        both = self._product(normed, layer.gate_up, f"{name}.gate_up", self.bits.body)
        gate, up = graph.node("Split", both, outputs=2, axis=-1, num_outputs=2)
        inner = graph.op("Mul", graph.fused("QuickGelu", gate, alpha=1.0), up)  # x * sigmoid(x): SiLU
        down = self._product(inner, layer.down, f"{name}.down", self.bits.body)
        return self._add_and_norm(x, down, f"{name}.next_norm", following)

    def _add_and_norm(self, x: str, added: str, name: str, gain: Array) -> tuple[str, str]:
        outputs = [f"{name}.normed", "", "", f"{name}.sum"]
        self.graph.nodes.append(
            helper.make_node(
                "SkipSimplifiedLayerNormalization",
                [x, added, self.graph.weight(name, gain)],
                outputs,
                name=f"{name}.node",
                domain=MICROSOFT,
                epsilon=self.decoder.epsilon,
            )
        )
        return outputs[3], outputs[0]

    def _product(self, x: str, linear: Linear, name: str, bits: int) -> str:
        graph = self.graph
        if bits < 32:
            packed = quantise_rows_in_blocks(linear.weight, bits, self.bits.block, self.bits.whole)
            return draw_product(graph, x, packed, name, linear.bias)
        result = graph.op("MatMul", x, graph.weight(f"{name}.weight", linear.weight.T))
        return result if linear.bias is None else graph.op("Add", result, graph.weight(f"{name}.bias", linear.bias))

    def _numbers(self, name: str, value: list[int] | int) -> str:
        return self.graph.weight(f"number.{name}", np.array(value, np.int64))

    def _finish(self) -> onnx.ModelProto:
        decoder, info = self.decoder, helper.make_tensor_value_info
        cache = ["batch", decoder.key_heads, "past", decoder.head_size]
        longer = ["batch", decoder.key_heads, "total", decoder.head_size]
        inputs = [
            info("input_ids", TensorProto.INT64, ["batch", "tokens"]),
            info("attention_mask", TensorProto.INT64, ["batch", "total"]),
            info("num_logits_to_keep", TensorProto.INT64, []),
        ]
        outputs = [info("logits", TensorProto.FLOAT, ["batch", "kept", len(decoder.words)])]
        for index in range(len(decoder.layers)):
            for part in ("key", "value"):
                inputs.append(info(PAST.format(i=index, part=part), TensorProto.FLOAT, cache))
                outputs.append(info(PRESENT.format(i=index, part=part), TensorProto.FLOAT, longer))
        drawn = helper.make_graph(self.graph.nodes, "lighten", inputs, outputs, list(self.graph.weights.values()))
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(drawn, opset_imports=opsets, ir_version=10, producer_name="lighten")
