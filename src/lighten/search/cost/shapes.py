"""Cost first: shapes are exported with random weights and measured, and those over a limit are never trained."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lighten.export.random import write_random
from lighten.measure.cost import LARGE_BATCH, time_in_fresh_process, timing_run
from lighten.measure.size import size_mb
from lighten.measure.timing import MIN_CALLS
from lighten.models.layout import Shape, table_width
from lighten.pipeline import digest
from lighten.search.cost.threads import with_fewer_threads
from lighten.search.memory.known import memory_of, wants_memory, wants_throughput
from lighten.search.memory.sessions import timed_once
from lighten.search.run import Run
from lighten.search.students.making import buckets_of
from lighten.search.students.space import Point
from lighten.workshop.limits import check

REFERENCE = "reference"


def weight_bytes(shape: Shape, table_width: int | None, int8: bool) -> int:
    """Return the bytes of a graph's weights: one or four per number, biases, norms and scales in fp32.

    Good to a percent; it spares writing files that are too large anyway.

    Args:
        shape: of the model.
        table_width: of the embeddings; None where they are as wide as the hidden states, see `layout.table_width`.
        int8: matrices in int8, else fp32.
    """
    columns = shape.layers * (5 * shape.hidden + shape.intermediate)
    tables = shape.table_rows * (table_width or shape.hidden)
    matrices = shape.encoder_parameters + tables + shape.hidden**2
    vectors = columns + shape.layers * 4 * shape.hidden + shape.hidden
    if not int8:
        return 4 * (matrices + vectors)
    scales = columns + shape.table_rows
    return matrices + columns + 4 * (vectors + scales)


def oversize_mb(run: Run, shape: Shape, int8: bool) -> float | None:
    """Return the megabytes of a shape's weights where they alone are over the limit on size; else None."""
    limit, megabytes = run.recipe.budget.size_mb, weight_bytes(shape, table_width(run.config), int8) / 1e6
    return None if limit is None or check("size_mb", limit, megabytes).met else megabytes


def measure_costs(
    run: Run, points: Sequence[Point], tokenizers: Mapping[Any, Path], pieces: Mapping[Any, int]
) -> dict[str, dict[str, Any]]:
    """Measure every point with random weights beside the reference's shape, interleaved.

    Points that were measured before, in step with the reference, are not measured again (`sessions.timed_once`).

    Args:
        run: the build.
        points: what to measure.
        tokenizers: folder of the tokenizer by vocabulary.
        pieces: size of the vocabulary by vocabulary.

    Returns:
        Metrics by name of the point, and those of the reference under `REFERENCE`. A point whose weights alone
        are over the size limit has its size only. Throughput is measured where the recipe asks for it, and of the
        reference: large batches of every shape take as long as all the rest.
    """
    found: dict[str, dict[str, Any]] = {}
    shapes: dict[str, tuple[Shape, str, Any, int]] = {REFERENCE: (run.full, "fp32", None, 0)}
    for point in points:
        shape, name = point.shape(run.full, pieces[point.student.vocabulary]), point.name(run.full)
        if (megabytes := oversize_mb(run, shape, point.int8)) is not None:
            found[name] = {"size_mb": round(megabytes, 3)}
        else:
            buckets = buckets_of(run, pieces[point.student.vocabulary])
            shapes[name] = (shape, point.format, point.student.vocabulary, buckets)

    keys = {name: digest([asdict(shape), *rest]) for name, (shape, *rest) in shapes.items()}
    with scratch_folder(run, "costs.") as scratch:

        def measure(names: Sequence[str]) -> dict[str, dict[str, Any]]:
            with run.progress.stage("cost of shapes, random weights", total=len(names)) as stage:
                for number, name in enumerate(names, start=1):
                    if name not in folders:  # a session that is repeated finds them there
                        shape, form, vocabulary, buckets = shapes[name]
                        tokenizer = run.model if vocabulary is None else tokenizers[vocabulary]
                        folders[name] = scratch / str(len(folders))
                        folders[name].mkdir()
                        write_random(folders[name], run.config, shape, form, tokenizer, run.serving, buckets=buckets)
                    stage.update(number)
                    run.clock.tick()
                large = names if wants_throughput(run.recipe) else [REFERENCE]
                return time_folders(run, {name: folders[name] for name in names}, 0.25 * len(names), large)

        folders: dict[str, Path] = {}
        # What another budget had measured is not measured again; another limit on size lets other shapes in.
        found.update(timed_once(run, "shapes", keys, measure, reference=REFERENCE, together=False))
    return found


@contextmanager
def scratch_folder(run: Run, prefix: str) -> Iterator[Path]:
    """Yield a folder in the workspace that is removed afterwards."""
    scratch = Path(tempfile.mkdtemp(dir=run.workspace.root, prefix=prefix))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def time_folders(
    run: Run, folders: Mapping[str, Path], seconds: float, large_batches: Collection[str] | None = None
) -> dict[str, dict[str, Any]]:
    """Return latency, throughput, size and, where the recipe asks for it, memory of model folders, side by side.

    Small ones have the latency with the number of threads they would be served with (`cost.threads`).

    Args:
        run: the build.
        folders: by name.
        seconds: for the timings, as `measure.timing.time_classifiers` has it.
        large_batches: names whose throughput is measured, some of `folders`; all when left out.
    """
    target = run.recipe.target
    thorough = list(folders) if large_batches is None else [name for name in folders if name in large_batches]
    runs = [
        timing_run(target.batch, target.tokens, MIN_CALLS, seconds),
        {**timing_run(LARGE_BATCH, target.tokens, 4, seconds / 2 * len(thorough) / len(folders)), "names": thorough},
    ]
    alone, large = time_in_fresh_process(folders, target.threads, runs, run.recipe.seed)
    with scratch_folder(run, "threads.") as scratch:
        students = {name: one for name, one in alone.items() if name != REFERENCE}
        alone = {**alone, **with_fewer_threads(run, folders, students, scratch)}
    metrics: dict[str, dict[str, Any]] = {}
    for name, folder in folders.items():
        metrics[name] = {
            "latency_ms": alone[name].to_dict(),
            **({"throughput_per_s": round(large[name].per_second, 2)} if name in large else {}),
            "size_mb": round(size_mb(folder), 4),
        }
        if wants_memory(run.recipe):
            metrics[name]["peak_memory_mb"] = memory_of(run, folder)
    return metrics
