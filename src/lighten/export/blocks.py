"""Weights in blocks of 4 or 8 bits as nodes of a graph: products, and rows of a table that share its bytes."""

from __future__ import annotations

import numpy as np

from lighten.export.draw import Graph
from lighten.models.layout import Array
from lighten.models.quantised.blocks import Blocks
from lighten.models.quantised.grids import Packed, fitted_grid, in_blocks, pack

INT8_ACTIVATIONS = 4
"""``accuracy_level`` of MatMulNBits: inputs in int8, block by block, so that the products are integers."""


def pack_blocks(weight: Array, bits: int, block: int) -> tuple[Array, Array, Array]:
    """Quantise a matrix [out, in] as MatMulNBits reads it, with whole zero points.

    Returns:
        Values [out, blocks, block * bits / 8] and zero points [out, ceil(blocks * bits / 8)] in uint8, and between
        them the scales [out, blocks] in float32.
    """
    blocks = quantise_rows_in_blocks(weight, bits, block, whole=True).blocks
    return blocks.values, blocks.scales, blocks.zeros


def quantise_rows_in_blocks(weight: Array, bits: int, block: int, whole: bool = False) -> Packed:
    """Quantise a matrix [out, in] on the grids that fit it best; see `grids.plain_grid` for `whole`."""
    whole = whole or weight.shape[1] % block != 0
    return pack(weight, fitted_grid(in_blocks(weight, block), bits, whole), block)


def draw_product(graph: Graph, x: str, packed: Packed, name: str, bias: Array | None = None) -> str:
    """Draw ``x @ weight.T + bias`` for x [batch, tokens, in]; returns the name of the result."""
    blocks = packed.blocks
    if packed.means:
        size = blocks.block
        means = graph.op("AveragePool", x, kernel_shape=[size], strides=[size])
        x = graph.op("Concat", x, means, axis=-1)
    inputs = [x, *_weights(graph, blocks, name)]
    if bias is not None:
        inputs += [""] * (5 - len(inputs))  # no zero points perhaps, and no order of groups
        inputs.append(graph.weight(f"{name}.bias", bias.astype(np.float32)))
    return graph.fused(
        "MatMulNBits",
        *inputs,
        K=blocks.rows,
        N=len(blocks.scales),
        bits=blocks.bits,
        block_size=blocks.block,
        accuracy_level=INT8_ACTIVATIONS,
    )


def draw_rows(graph: Graph, ids: str, blocks: Blocks, name: str) -> str:
    """Draw the rows of a table [rows, width] at `ids` [batch, tokens], from the bytes that `draw_product` uses too.

    The product wants its values in three dimensions. As long as a block's bytes are one row of a table, so does the
    gathering, whose result is then joined; the file holds the table once.

    Raises:
        ValueError: the width is no multiple of the block.
    """
    rows, count = blocks.scales.shape
    if blocks.rows != count * blocks.block:
        raise ValueError(f"the width {blocks.rows} is no multiple of the block {blocks.block}")
    values, scales = graph.weight(f"{name}.values", blocks.values), graph.weight(f"{name}.scales", blocks.scales)
    column = graph.weight(f"{name}.column", np.array([rows, count, 1], np.int64))
    inputs = [values, ids, graph.op("Reshape", scales, column)]
    if not _symmetric(blocks):
        per_block = blocks.zeros if blocks.bits == 8 else _apart(blocks.zeros, count)
        one_each = per_block.reshape(rows, count, 1)
        inputs.append(graph.weight(f"{name}.table.zeros", one_each))
    found = graph.fused(
        "GatherBlockQuantized",
        *inputs,
        gather_axis=0,
        quantize_axis=2,
        block_size=blocks.block,
        bits=blocks.bits,
    )
    return graph.op("Reshape", found, graph.weight("joined", np.array([0, 0, blocks.rows], np.int64)))


def _weights(graph: Graph, blocks: Blocks, name: str) -> list[str]:
    stored = [graph.weight(f"{name}.values", blocks.values), graph.weight(f"{name}.scales", blocks.scales)]
    return stored if _symmetric(blocks) else [*stored, graph.weight(f"{name}.zeros", blocks.zeros)]


def _symmetric(blocks: Blocks) -> bool:
    """Return whether zero is where both operators take it to be when nothing is said."""
    return blocks.bits == 8 and bool(np.all(blocks.zeros == 128))


def _apart(packed: Array, count: int) -> Array:
    """Take two 4-bit zero points per byte apart: the table wants one in a byte's lower half per block."""
    return np.stack([packed & 15, packed >> 4], -1).reshape(len(packed), -1)[:, :count]
