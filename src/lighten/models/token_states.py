"""Embeddings that stand for layers: for each token the mean of what the layers make of it in texts.

A student that begins above some layers of its teacher reads, with its teacher's embeddings, what its first layer has
never seen. The mean of the states between two lower layers is nearer to that, and still a table (static embeddings out
of contextual ones: Bommasani et al. 2020; Gupta and Jaggi 2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lighten.models.layout import Array, Names
from lighten.models.tokens import Ids

SEEN_RARELY = 2.0
"""Occurrences at which a token's own mean and what its old embedding lets expect count the same."""
SEEN_RARELY_AT = 20.0
"""Tokens at a position at which what they have in common there counts half."""
OFTEN = 50
"""Occurrences from which on a token counts no more when states are foretold from embeddings."""
RIDGE = 1.0
"""Penalty of that regression's squared weights."""


class TokenMeans:
    """Adds up states by token and by position, text after text.

    Args:
        texts: ids of the tokens of every text [tokens].
        positions: tokens of a text at most.
        width: of the states.
    """

    def __init__(self, texts: Sequence[Ids], positions: int, width: int) -> None:
        self.texts = texts
        self.seen, self.count = np.unique(np.concatenate(texts), return_counts=True)
        self.tokens = np.zeros((len(self.seen), width))
        self.positions = np.zeros((positions, width))

    def add(self, text: int, states: Array) -> None:
        """Add the states of a text, each text once.

        Args:
            text: its number.
            states: of its tokens [tokens, width].
        """
        np.add.at(self.tokens, np.searchsorted(self.seen, self.texts[text]), states)
        self.positions[: len(states)] += states

    def tables(self, words: Array) -> tuple[Array, Array]:
        """Return a row for every token and for every position, the sum of which is nearest to the states.

        A token that is rare leans on what a ridge regression of the others' means on their embeddings expects of it;
        one that never occurred is what it expects.

        Args:
            words: the embeddings there were [vocabulary, their width].
        """
        count = self.count[:, None]
        means, known = self.tokens / count, words[self.seen].astype(np.float64)
        weight = np.minimum(count, OFTEN) / np.minimum(count, OFTEN).sum()
        centre, middle = (weight * means).sum(0), (weight * known).sum(0)
        root = np.sqrt(np.minimum(count, OFTEN))
        left, right = (known - middle) * root, (means - centre) * root
        slope = np.linalg.solve(left.T @ left + RIDGE * np.eye(left.shape[1]), left.T @ right)
        # Tables of many languages are large: in single precision.
        rows: Array = words.astype(np.float32) @ slope.astype(np.float32) + (centre - middle @ slope).astype(
            np.float32
        )
        share = count / (count + SEEN_RARELY)
        rows[self.seen] = share * means + (1 - share) * rows[self.seen]
        expected, times = np.zeros_like(self.positions), np.zeros((len(self.positions), 1))
        for ids in self.texts:
            expected[: len(ids)] += rows[ids]
            times[: len(ids)] += 1
        places = (self.positions - expected) / (times + SEEN_RARELY_AT)
        return rows, places.astype(np.float32)


def with_tables(
    names: Names, prefix: str, state: Mapping[str, Array], norm: str, rows: Array, places: Array
) -> dict[str, Array]:
    """Return the tensors with these embeddings, normed by the norm that made the states.

    Args:
        names: of the model's type.
        prefix: of its encoder's tensors.
        state: tensors by name.
        norm: name of the norm behind the last layer that the embeddings stand for.
        rows: of the tokens, before scale and shift of that norm [vocabulary, hidden].
        places: of the positions, from the first token's on [positions, hidden].
    """
    at = prefix + "embeddings."
    positions = np.zeros_like(state[at + "position_embeddings.weight"])
    positions[names.position_offset : names.position_offset + len(places)] = places
    changed = {at + "word_embeddings.weight": rows, at + "position_embeddings.weight": positions}
    if names.token_types:
        kinds = at + "token_type_embeddings.weight"
        changed[kinds] = np.zeros_like(state[kinds])
    changed |= {f"{at}LayerNorm.{part}": state[f"{norm}.{part}"] for part in ("weight", "bias")}
    return {**state, **changed}
