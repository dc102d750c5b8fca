"""Checkpoints as arrays: a transformers folder with config.json, model.safetensors and a tokenizer."""

from __future__ import annotations

import shutil
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from lighten.errors import InputError
from lighten.models.layout import Array
from lighten.pipeline.files import read_json, write_json

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
"""Names the parts of weights that are split over several files."""


def read_config(folder: Path) -> dict[str, Any]:
    """Read config.json.

    Raises:
        InputError: the folder or the file is missing, or it is no JSON object.
    """
    if not folder.is_dir():
        raise InputError("a model is a folder with config.json and model.safetensors; there is none", str(folder))
    file = folder / "config.json"
    if not file.is_file():
        raise InputError(f"no config.json; the folder holds {_listing(folder)}", str(folder))
    return read_object(file)


def read_object(file: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InputError: it is no JSON, or no object.
    """
    try:
        content = read_json(file)
    except ValueError as error:
        raise InputError(f"not valid JSON: {error}", str(file)) from None
    if not isinstance(content, dict):
        raise InputError("not a JSON object", str(file))
    return content


def weight_files(folder: Path) -> list[Path]:
    """Return the files that hold the weights, as transformers chooses them; empty if there are none.

    Raises:
        InputError: the index of split weights is damaged, or one of its files is missing.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        return []
    parts = read_object(folder / INDEX).get("weight_map")
    if not isinstance(parts, dict):
        raise InputError("it has no 'weight_map'", str(folder / INDEX))
    files = [folder / name for name in sorted(set(parts.values()))]
    for file in files:
        if file.parent != folder or not file.is_file():
            raise InputError(f"the weights {file.name} that it names are missing", str(folder / INDEX))
    return files


def check_model(folder: Path) -> dict[str, Any]:
    """Return the config after making sure that weights and tokenizer are there, whole and in safe formats.

    Raises:
        InputError: weights damaged or only as pickle, or no fast tokenizer.
    """
    config = read_config(folder)
    for file in _needed_weights(folder):
        # Opening reads the header alone and compares it with the file's length.
        try:
            with safe_open(file, framework="np"):
                pass
        except (SafetensorError, OSError) as error:
            raise InputError(f"the weights cannot be read: {error}", str(file)) from None
    if not (folder / "tokenizer.json").is_file():
        raise InputError(f"no tokenizer.json (a fast tokenizer); the folder holds {_listing(folder)}", str(folder))
    return config


def _needed_weights(folder: Path) -> list[Path]:
    files = weight_files(folder)
    if not files:
        pickled = [file.name for pattern in ("*.bin", "*.pt", "*.pkl") for file in sorted(folder.glob(pattern))]
        why = (
            f"only {', '.join(pickled)}, which may run code; convert it to safetensors"
            if pickled
            else _listing(folder)
        )
        raise InputError(f"no {WEIGHTS}; the folder holds {why}", str(folder))
    return files


def read_state(folder: Path, leave: tuple[str, ...] = (), only: Container[str] | None = None) -> dict[str, Array]:
    """Read all tensors in float32 (integers as they are), those in the files named in `leave` excepted.

    With `only`, tensors of other names are passed over.

    Raises:
        InputError: there are no weights, or a file is damaged.
    """
    state: dict[str, Array] = {}
    for file in _needed_weights(folder):
        if file.name in leave:
            continue
        try:
            # Through torch where it must be: numpy has no bfloat16.
            with safe_open(file, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118 (safe_open is no mapping)
                    if only is not None and name not in only:
                        continue
                    tensor = tensors.get_tensor(name)
                    value = tensor.float() if tensor.is_floating_point() else tensor
                    state[_modern(name)] = value.numpy()
        except (SafetensorError, OSError) as error:
            raise InputError(f"the weights cannot be read: {error}", str(file)) from None
    return state


def write_checkpoint(
    folder: Path, config: Mapping[str, Any], state: Mapping[str, Array], tokenizer: Path | None
) -> None:
    """Write a checkpoint that plain transformers loads.

    Args:
        folder: exists; files in it are replaced.
        config: content of config.json.
        state: tensors by name.
        tokenizer: folder to copy the tokenizer files from; None leaves those in `folder`.
    """
    config = {key: value for key, value in config.items() if key != "torch_dtype"}  # the old word for dtype
    write_json(folder / "config.json", {**config, "dtype": "float32"})
    save_file({name: np.ascontiguousarray(value) for name, value in state.items()}, folder / WEIGHTS, {"format": "pt"})
    if tokenizer is not None:
        copy_tokenizer(tokenizer, folder)


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy the tokenizer files that exist."""
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def read_tokenizer_config(folder: Path) -> dict[str, Any]:
    """Return tokenizer_config.json, or an empty dict where there is none."""
    file = folder / "tokenizer_config.json"
    return read_object(file) if file.is_file() else {}


def _modern(name: str) -> str:
    """Layer norms of checkpoints converted from TensorFlow say gamma and beta; transformers renames them too."""
    for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
        if name.endswith("LayerNorm" + old):
            return name.removesuffix(old) + new
    return name


def _listing(folder: Path) -> str:
    names = sorted(file.name for file in folder.iterdir())
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "") if names else "nothing"
