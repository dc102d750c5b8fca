"""`audit`: what a labelled data set is like and what is wrong with it, without changing a row."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from lighten.data.audit_duplicates import duplicates_of
from lighten.data.audit_errors import label_errors
from lighten.data.audit_features import embedding_features, word_features
from lighten.data.audit_labels import label_facts
from lighten.data.audit_languages import languages_of
from lighten.data.audit_texts import length_facts, odd_texts
from lighten.data.columns import Columns, Part
from lighten.data.load import load
from lighten.data.near import THRESHOLD
from lighten.data.semantic_step import embeddings, model_folder
from lighten.errors import InputError
from lighten.progress import Progress

SCHEMA = 1


def audit(
    data: str | list[str],
    text: str = "text",
    label: str | None = None,
    *,
    validation: str | list[str] | None = None,
    test: str | list[str] | None = None,
    model: str | None = None,
    threshold: float = THRESHOLD,
    seed: int = 0,
    base: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Look at labelled texts: labels, duplicates, leaks, lengths, odd texts, suspected label errors, languages.

    Args:
        data: source of the rows, or several of the same columns.
        text: column of the text.
        label: column of the label; what concerns labels is left out where there is none.
        validation: source of a validation set with the same columns.
        test: source of a test set with the same columns.
        model: source of an encoder: lengths are counted in its tokens, label errors looked for in its embeddings.
        threshold: similarity of texts that count as nearly equal.
        seed: of the folds.
        base: folder that relative sources are looked for in first.
        progress: told what is going on.

    Returns:
        The JSON-ready document: ``schema``, ``kind`` ("audit"), ``sentence``, ``columns``, ``parts``, ``labels``,
        ``duplicates``, ``leaks``, ``lengths``, ``texts``, ``label_errors``, ``languages``, ``seconds``.

    Raises:
        InputError: a source or a column that is not there, a file without rows, or one without any text.
    """
    started = time.monotonic()
    progress = progress or Progress()
    if text == label:
        raise InputError(f"{label!r} is the text column already", "label")
    sources: dict[Part, str | list[str] | None] = {"train": data, "validation": validation, "test": test}
    folder = model_folder(model, base, progress) if model is not None else None
    with progress.stage("audit") as stage:
        columns = Columns(text, label)
        tables: dict[str, pl.DataFrame] = {}
        parts: dict[str, dict[str, Any]] = {}
        for part, source in sources.items():
            if source is not None:
                stage.update(reading=part)
                whole = load(source, Columns(text, label, None, part), base, progress)
                tables[part], parts[part] = _usable(whole, columns)
        stage.update(doing="duplicates")
        twins = duplicates_of(tables, columns, threshold)
        stage.update(doing="lengths")
        lengths = length_facts({part: table[text].to_list() for part, table in tables.items()}, folder)
        texts = tables["train"][text].to_list()
        errors = None
        if label is not None:
            stage.update(doing="label errors")
            features = embedding_features(embeddings(folder, texts, progress)) if folder else word_features(texts)
            errors = label_errors(tables["train"], columns, features, twins.groups, seed)
            errors["features"] = f"embeddings of {model}" if folder else "TF-IDF"
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "kind": "audit",
            "sentence": "",
            "columns": {"text": text, "label": label},
            "model": model,
            "parts": parts,
            "labels": label_facts(tables, label) if label is not None else None,
            "duplicates": twins.duplicates,
            "leaks": twins.leaks,
            "lengths": lengths,
            "texts": odd_texts(tables, columns),
            "label_errors": errors,
            "languages": languages_of(texts),
        }
    document["sentence"] = sentence(document)
    document["seconds"] = round(time.monotonic() - started, 3)
    return document


def sentence(document: Mapping[str, Any]) -> str:
    """Return what an audit found in one line."""
    rows = document["parts"]["train"]["rows"]
    found = document["duplicates"]
    parts = [f"{rows:,} rows"]
    if document["labels"] is not None:
        parts[0] += f", {len(document['labels']['counts']['train']):,} labels"
    leaked = sum(leak["exact"] + leak["near"] for leak in document["leaks"]["between"])
    for count, said in (
        (found["exact"]["rows"], "duplicates"),
        (found["near"]["rows"], "near-duplicates"),
        (found["conflicts"]["rows"], "with the text of another label's row"),
        (leaked, "also in another part"),
        ((document["label_errors"] or {}).get("suspected", 0), "suspected label errors"),
    ):
        if count:
            parts.append(f"{count:,} {said}")
    return f"{'; '.join(parts)}" + ("" if len(parts) > 1 else "; nothing suspicious was found")


def _usable(table: pl.DataFrame, columns: Columns) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Return the rows with a text (and a label), and how many lack one."""
    text = pl.col(columns.text)
    empty = text.is_null() | (text.str.strip_chars() == "")
    unlabelled = pl.col(columns.label).is_null() if columns.label is not None else pl.lit(False)
    kept = table.filter(~empty & ~unlabelled)
    facts = {
        "rows": table.height,
        "usable": kept.height,
        "empty_text": table.filter(empty).height,
        "missing_label": table.filter(~empty & unlabelled).height,
    }
    if kept.is_empty():
        needed = f"a text ({columns.text!r})" + (f" and a label ({columns.label!r})" if columns.label else "")
        raise InputError(f"no row has {needed}", str(table["__file__"][0]))
    return kept, facts
