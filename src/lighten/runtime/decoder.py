"""Runs the graph of a language model: prompts and single tokens, with a cache that attention writes in place."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from lighten.errors import InputError, LightenError
from lighten.runtime.folder import ModelFolder
from lighten.runtime.session import open_session
from lighten.runtime.tokens import Ids

Logits = npt.NDArray[np.float32]


class Cache:
    """Keys and values of one text, in buffers of `room` tokens; `used` of them are filled."""

    def __init__(self, shape: tuple[int, int], layers: int, room: int) -> None:
        heads, size = shape
        make = onnxruntime.OrtValue.ortvalue_from_numpy
        self.room, self.used = room, 0
        self.buffers = [make(np.zeros((1, heads, room, size), np.float32)) for _ in range(2 * layers)]
        self._mask = np.ones((1, room), np.int64)

    def mask(self, tokens: int) -> Ids:
        """Return the attention mask [1, used + tokens] of the next step."""
        return self._mask[:, : self.used + tokens]

    def rewind(self, used: int) -> None:
        """Forget all tokens but the first `used`: what follows overwrites them."""
        self.used = min(self.used, used)


class DecoderSession:
    """A language model's graph in ONNX Runtime.

    Args:
        folder: the model.
        threads: that one run may use.
        spinning: whether idle threads spin.

    Raises:
        InputError: the graph has other inputs or outputs.
    """

    def __init__(self, folder: ModelFolder, threads: int, spinning: bool) -> None:
        self.folder, self.longest = folder, folder.max_tokens
        self._session = open_session(folder.graph, threads, spinning)
        inputs = {item.name: item.shape for item in self._session.get_inputs()}
        self._past = [name for name in inputs if name.startswith("past_key_values.")]
        self._present = [name.replace("past_key_values.", "present.") for name in self._past]
        outputs = {item.name: item.shape for item in self._session.get_outputs()}
        needed = {"input_ids", "attention_mask", "num_logits_to_keep"}
        if not self._past or set(inputs) - set(self._past) != needed or set(outputs) != {"logits", *self._present}:
            raise InputError(
                f"expected {', '.join(sorted(needed))}, past_key_values.* and logits, present.*; the graph has "
                f"inputs {sorted(inputs)[:6]}, outputs {sorted(outputs)[:6]}",
                str(folder.graph),
            )
        self.heads, self.head_size = int(inputs[self._past[0]][1]), int(inputs[self._past[0]][3])
        self.vocabulary = int(outputs["logits"][2])

    def cache(self, room: int) -> Cache:
        """Return an empty cache for a text of up to `room` tokens.

        Raises:
            InputError: more than the model reads.
        """
        if room > self.longest:
            raise InputError(f"{room} tokens asked for, but this model reads at most {self.longest}")
        return Cache((self.heads, self.head_size), len(self._past) // 2, room)

    def step(self, cache: Cache, ids: Ids, keep: int = 1) -> Logits:
        """Read the next tokens of a text.

        Args:
            cache: of the text so far; it takes the new tokens in.
            ids: int64 [tokens].
            keep: of how many of the last tokens to return the logits; 0 for all.

        Returns:
            float32 [kept, vocabulary]; row i says what follows token i.

        Raises:
            InputError: no token, a token that does not exist, or more than the cache has room for.
        """
        tokens = np.ascontiguousarray(ids, np.int64).reshape(1, -1)
        if not tokens.size or not 0 <= tokens.min() <= tokens.max() < self.vocabulary:
            raise InputError(f"at least one token id from 0 to {self.vocabulary - 1} expected; got {tokens.size} ids")
        if cache.used + tokens.size > cache.room:
            raise InputError(f"{cache.used + tokens.size} tokens, but the cache has room for {cache.room}")
        binding = self._session.io_binding()
        binding.bind_cpu_input("input_ids", tokens)
        binding.bind_cpu_input("attention_mask", cache.mask(tokens.size))
        binding.bind_cpu_input("num_logits_to_keep", np.array(keep, np.int64))
        binding.bind_output("logits")
        for past, present, buffer in zip(self._past, self._present, cache.buffers, strict=True):
            # One buffer as past and as present: attention then adds the new tokens in place and copies nothing.
            binding.bind_ortvalue_input(past, buffer)
            binding.bind_ortvalue_output(present, buffer)
        self._run(binding, tokens.shape[1])
        cache.used += tokens.size
        logits: Logits = binding.get_outputs()[0].numpy()[0]
        return logits

    def logits(self, ids: Ids) -> Logits:
        """Return what follows every token of a text, float32 [tokens, vocabulary]."""
        return self.step(self.cache(len(ids)), ids, keep=0)

    def _run(self, binding: Any, tokens: int) -> None:
        try:
            self._session.run_with_iobinding(binding)
        except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
            reason = " ".join(str(error).split())[:300]
            raise LightenError(f"{self.folder.graph}: the graph failed on {tokens} tokens: {reason}") from None
