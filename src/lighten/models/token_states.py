"""Embeddings that stand for layers: for each token the mean of what the layers make of it in texts.

A student that begins above some layers of its teacher reads, with its teacher's embeddings, what its first layer has
never seen. The mean of the states between two lower layers is nearer to that, and still a table (static embeddings out
of contextual ones: Bommasani et al. 2020; Gupta and Jaggi 2021).
"""

from __future__ import annotations

from collections.abc import Mapping

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
    """Adds up states by token and by position, batch after batch.

    Args:
        vocabulary: number of tokens.
        positions: tokens of a text at most.
        width: of the states.
    """

    def __init__(self, vocabulary: int, positions: int, width: int) -> None:
        self.tokens = np.zeros((vocabulary, width))
        self.positions = np.zeros((positions, width))
        self.count = np.zeros(vocabulary, np.int64)
        self.texts: list[Ids] = []

    def add(self, ids: Ids, states: Array) -> None:
        """Add a text.

        Args:
            ids: of its tokens [n].
            states: of them [n, width].
        """
        np.add.at(self.tokens, ids, states)
        self.positions[: len(ids)] += states
        self.count += np.bincount(ids, minlength=len(self.count))
        self.texts.append(ids)

    def tables(self, words: Array) -> tuple[Array, Array]:
        """Return a row for every token and for every position, the sum of which is nearest to the states.

        A token that is rare leans on what a ridge regression of the others' means on their embeddings expects of it;
        one that never occurred is what it expects.

        Args:
            words: the embeddings there were [vocabulary, their width].
        """
        seen = self.count > 0
        means = self.tokens[seen] / self.count[seen, None]
        known = words[seen].astype(np.float64)
        weight = np.minimum(self.count[seen], OFTEN).astype(np.float64)[:, None]
        centre, middle = np.average(means, 0, weight[:, 0]), np.average(known, 0, weight[:, 0])
        left = (known - middle) * np.sqrt(weight)
        slope = np.linalg.solve(
            left.T @ left + RIDGE * np.eye(left.shape[1]), left.T @ ((means - centre) * np.sqrt(weight))
        )
        rows = (words - middle) @ slope + centre
        share = (self.count[seen] / (self.count[seen] + SEEN_RARELY))[:, None]
        rows[seen] = share * means + (1 - share) * rows[seen]
        expected, times = np.zeros_like(self.positions), np.zeros((len(self.positions), 1))
        for ids in self.texts:
            expected[: len(ids)] += rows[ids]
            times[: len(ids)] += 1
        places = (self.positions - expected) / (times + SEEN_RARELY_AT)
        return rows.astype(np.float32), places.astype(np.float32)


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
