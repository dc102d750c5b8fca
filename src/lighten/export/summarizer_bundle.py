"""Puts the graphs of a summariser beside its checkpoint: the folder then runs without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx

from lighten.errors import InputError
from lighten.export.bundle import files_of
from lighten.export.encoder_decoder import reading_graph, writing_graph
from lighten.models.checkpoint import read_config, read_object, read_state
from lighten.models.encoder_decoder import can_draw, encoder_decoder_from_state
from lighten.pipeline.files import write_json
from lighten.runtime.folder import SUMMARIES
from lighten.runtime.frequencies import FILE as FREQUENCIES
from lighten.runtime.long_texts import Long

READER, WRITER = "onnx/encoder.onnx", "onnx/decoder.onnx"
EXTERNAL = 1_500_000_000
"""Bytes of weights from which on they lie beside the graph: protobuf ends at two gigabytes."""


@dataclass(frozen=True)
class Summarizing:
    """How the model will be used.

    Attributes:
        max_tokens: a text's at most, special ones included; longer ones are cut or go piece by piece.
        threads: of one summary.
        beams: see `lighten.runtime.beams.Search`, as the next three.
        written: tokens of a summary.
        length_penalty: see there.
        no_repeat: see there.
        chunked: texts over `max_tokens` go piece by piece.
        again: the joined summaries of the pieces are summarised again.
        long: what else becomes of texts over `max_tokens`.
    """

    max_tokens: int
    threads: int = 1
    beams: int = 4
    written: int = 128
    length_penalty: float = 1.0
    no_repeat: int = 3
    chunked: bool = False
    again: bool = True
    long: Long = field(default_factory=Long)


def can_export(checkpoint: Path) -> bool:
    """Whether `add_graphs` knows the model in a folder."""
    return can_draw(read_config(checkpoint))


def add_graphs(folder: Path, how: Summarizing, *, samples: Sequence[str] = ()) -> None:
    """Draw the two graphs of a checkpoint into its folder, and describe it in ``lighten.json``.

    Args:
        folder: a checkpoint of ``AutoModelForSeq2SeqLM`` with its tokenizer and generation_config.json.
        how: it will be used.
        samples: texts whose first token is stored for the self-test.

    Raises:
        InputError: a model type that is not exported, or one that says neither where to start nor where to end.
    """
    config = read_config(folder)
    model = encoder_decoder_from_state(config, read_state(folder))
    (folder / "lighten.json").unlink(missing_ok=True)  # the description is none of the files it lists
    (folder / "onnx").mkdir(exist_ok=True)
    for name, graph in ((READER, reading_graph(model)), (WRITER, writing_graph(model))):
        outside = graph.ByteSize() > EXTERNAL
        options: dict[str, Any] = (
            {"save_as_external_data": True, "location": Path(name).name + "_data"} if outside else {}
        )
        onnx.save(graph, folder / name, **options)
    if how.long.frequencies is not None:
        write_json(folder / FREQUENCIES, how.long.frequencies.to_dict())
    most = min(how.max_tokens, len(model.encoder.positions))
    said = {} if how.long.strategy == "truncate" else {"long": how.long.to_dict()}
    description = {
        "format": 1,
        "task": SUMMARIES,
        "graph": WRITER,
        "encoder": READER,
        "preprocessing": {"max_tokens": most, "pad_token_id": int(config.get("pad_token_id") or 0), **said},
        "generation": {
            **_tokens(folder, config),
            "beams": how.beams,
            "max_tokens": min(how.written, len(model.decoder.positions) - 1),
            "length_penalty": float(how.length_penalty),
            "no_repeat": how.no_repeat,
            "chunked": how.chunked,
            "again": how.again,
        },
        "runtime": {"threads": how.threads, "spinning": False},
        "plan": [],
        "files": files_of(folder),
        "self_test": [],
    }
    write_json(folder / "lighten.json", description)
    if samples:
        description["self_test"] = _expectations(folder, samples)
        write_json(folder / "lighten.json", description)


def _tokens(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Return where summaries start and end, as generation_config.json says, else config.json."""
    file = folder / "generation_config.json"
    known = {**config, **{key: value for key, value in _read(file).items() if value is not None}}
    start = known.get("decoder_start_token_id", known.get("pad_token_id"))
    ends = known.get("eos_token_id")
    if not isinstance(start, int) or ends is None:
        raise InputError("neither decoder_start_token_id nor eos_token_id can be missing", str(folder / "config.json"))
    ends = [ends] if isinstance(ends, int) else list(ends)
    special = {start, *ends, known.get("bos_token_id"), known.get("pad_token_id")} - {None}
    return {
        "start_token_id": start,
        "end_token_ids": ends,
        "special_token_ids": sorted(int(token) for token in special),
        "first_token_id": known.get("forced_bos_token_id"),
        "last_token_id": known.get("forced_eos_token_id"),
    }


def _read(file: Path) -> dict[str, Any]:
    return read_object(file) if file.is_file() else {}


def _expectations(folder: Path, samples: Sequence[str]) -> list[dict[str, Any]]:
    from lighten.runtime.folder import read_folder
    from lighten.runtime.summarize import Summarizer

    model = Summarizer(read_folder(folder))
    cases = []
    for text in samples:
        token, scores = model.first_token(text)
        cases.append({"text": text, "token": token, "log_probability": round(scores[token], 5)})
    return cases
