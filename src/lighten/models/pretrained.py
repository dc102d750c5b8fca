"""How every model of transformers is loaded: safetensors only, no remote code, quiet, no weight left to chance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from lighten.errors import InputError

_DRAWN = "_lighten_drawn"
"""Attribute of a loaded model: names of the tensors that its folder lacks."""


def quiet_config(folder: Path) -> Any:
    """Return the configuration in a folder as transformers reads it; from here on, transformers says nothing.

    Raises:
        InputError: it cannot be read.
    """
    from transformers import AutoConfig
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a value out of place raises what the reading code happens to raise
        raise InputError(f"transformers cannot read it: {error}", str(folder / "config.json")) from None


def pretrained(home: Any, folder: Path, config: Any, seed: int) -> tuple[Any, list[str]]:
    """Load a model in fp32.

    Args:
        home: an Auto class of transformers.
        folder: with weights in safetensors.
        config: of the model.
        seed: of weights that the folder lacks.

    Returns:
        The model, and the names of the tensors drawn from the seed.

    Raises:
        InputError: it cannot be loaded.
    """
    torch.manual_seed(seed)
    try:
        model, loaded = home.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            # The fused kernel where the architecture has it; asked for by name, it is refused by the others (LED).
            attn_implementation=None,
            # A checkpoint fine-tuned for other labels brings a head of another size.
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except Exception as error:
        raise InputError(f"transformers cannot load the model: {short(error)}", str(folder)) from None
    new = _new(model, loaded)
    setattr(model, _DRAWN, tuple(new))
    return model, new


def drawn_in(model: Any) -> set[str]:
    """Return the names of the tensors of a model, or of models inside it, that `pretrained` drew from a seed."""
    return {
        f"{name}.{tensor}" if name else tensor
        for name, module in model.named_modules()
        for tensor in getattr(module, _DRAWN, ())
    }


def refuse_new(new: Iterable[str], allowed: Iterable[str], part: str, folder: Path) -> None:
    """Let only some modules be new; a body of random numbers would train and answer as if it were the model.

    Args:
        new: names of the tensors that the folder lacks.
        allowed: names of the modules that may be new: a head, a norm of another kind that we fill.
        part: what the others belong to, for the message.
        folder: of the model.

    Raises:
        InputError: another tensor is new.
    """
    known = tuple(name + "." for name in allowed)
    astray = sorted(name for name in new if not name.startswith(known))
    if astray:
        raise InputError(
            f"the weights do not fit config.json: {len(astray)} tensors of the {part} are missing or of another "
            f"shape, {astray[0]} among them",
            str(folder),
        )


def short(error: Exception) -> str:
    """Return an error in one line."""
    return " ".join(str(error).split())[:300]


def _new(model: Any, loaded: Mapping[str, Any]) -> list[str]:
    names = [*loaded["missing_keys"], *(entry[0] for entry in loaded["mismatched_keys"])]
    # Tables of sines are computed, and left out of checkpoints as published (Pegasus).
    return [name for name in names if "Sinusoidal" not in type(model.get_submodule(name.rpartition(".")[0])).__name__]
