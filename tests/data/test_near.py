import os
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lighten.data.near import near_duplicates
from lighten.data.near_minhash import BINS, EMPTY, _by_rank, _by_turns, bands, candidates, estimate, found, signatures
from lighten.data.near_shingles import CHUNK_TEXTS, shingles


def corpus(count, seed=0, words=(20, 120), vocabulary=5000):
    """Texts of words drawn with the skew of natural ones."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, vocabulary + 1)
    weights /= weights.sum()
    return [[f"w{word}" for word in rng.choice(vocabulary, rng.integers(*words), p=weights)] for _ in range(count)]


def edited(words, share, rng):
    words = list(words)
    for place in rng.sample(range(len(words)), max(1, round(share * len(words)))):
        words[place] = f"x{rng.randrange(10**6)}"
    return words


def obvious_sets(text, size, unit="words"):
    """The shingles of plain ASCII text, the obvious way."""
    items = "".join(c if c.isalnum() and c.isascii() else " " for c in text.lower()).split()
    if unit == "characters":
        items = list(" ".join(text.lower().split()))
    return {tuple(items[i : i + size]) for i in range(len(items) - size + 1)}


def hashed_sets(texts, size, unit="words"):
    sets = [set() for _ in texts]
    for part in shingles(texts, size, unit):
        for owner, value in zip(part.owner.tolist(), part.hashes.tolist(), strict=True):
            sets[part.first + owner].add(value)
    return sets


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(alphabet="abAB zZ19 ,.-\n'", max_size=40), min_size=1, max_size=8),
    st.integers(1, 4),
)
def test_word_shingles_are_those_of_the_obvious_way(texts, size):
    ours, plain = hashed_sets(texts, size), [obvious_sets(text, size) for text in texts]
    for i in range(len(texts)):
        for j in range(len(texts)):
            assert len(ours[i] & ours[j]) == len(plain[i] & plain[j])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet="abcxyz 1", max_size=30), min_size=1, max_size=6), st.integers(1, 5))
def test_character_shingles_are_those_of_the_obvious_way(texts, size):
    ours, plain = hashed_sets(texts, size, "characters"), [obvious_sets(t, size, "characters") for t in texts]
    for i in range(len(texts)):
        for j in range(len(texts)):
            assert len(ours[i] & ours[j]) == len(plain[i] & plain[j])


@given(st.lists(st.text(max_size=60), max_size=6))
def test_any_text_can_be_shingled(texts):
    for unit in ("words", "characters"):
        assert len(hashed_sets(texts, 2, unit)) == len(texts)


def test_a_text_has_the_same_shingles_wherever_it_stands():
    texts = ["the quick brown fox"] * (CHUNK_TEXTS + 2)
    sets = hashed_sets(texts, 2)
    assert all(one == sets[0] for one in sets) and len(sets[0]) == 3


def test_case_blanks_and_punctuation_do_not_count():
    a, b = hashed_sets(["It's  a GREAT film!", "it s a great\nfilm"], 2)
    assert a == b


def test_a_lone_surrogate_and_a_nul_are_texts_too():
    assert len(hashed_sets(["a\ud800b c d", "a\0b"], 1)) == 2


def test_scripts_without_blanks_count_by_characters():
    a, b, c = hashed_sets(["这部电影很好看。", "这部电影很好看!", "完全不同的另一句话"], 2)
    assert a == b and len(a) == 6 and not a & c


def test_accents_and_other_alphabets_are_words():
    a, b, c = hashed_sets(["Crème brûlée, déjà vu", "crème BRÛLÉE déjà vu", "Привет мир, как дела"], 2)
    assert a == b and len(a) == 3 and len(c) == 3
    full, half = hashed_sets(["ＡＢＣ １２３ ok", "abc 123 ok"], 2)
    assert full == half


def test_minhash_estimates_the_exact_jaccard_similarity():
    rng = random.Random(1)
    texts = [" ".join(words) for words in corpus(150, words=(30, 200))]
    pairs = [(text, " ".join(edited(text.split(), rng.uniform(0, 0.3), rng))) for text in texts]
    sets = [(obvious_sets(a, 2), obvious_sets(b, 2)) for a, b in pairs]
    exact = np.array([len(a & b) / len(a | b) for a, b in sets])
    estimated = estimate(signatures([a for a, _ in pairs]), signatures([b for _, b in pairs]))
    errors = estimated - exact
    # The standard error of 256 independent bins is at most 0.031.
    assert abs(errors.mean()) < 0.01
    assert np.sqrt((errors**2).mean()) < 0.05


def test_densification_leaves_no_bin_empty_and_does_not_depend_on_neighbours():
    texts = ["one two", "a b c", " ".join(f"w{i}" for i in range(3000)), "", "x"]
    together = signatures(texts)
    assert (together[:, :3] != EMPTY).all()
    assert (together[:, 3:] == EMPTY).all()
    assert together.shape == (BINS, 5)
    for row, text in enumerate(texts):
        assert np.array_equal(signatures([text])[:, 0], together[:, row])
    crowd = signatures(texts + [" ".join(words) for words in corpus(300)])
    assert np.array_equal(crowd[:, :5], together)


def test_the_two_ways_to_fill_empty_bins_agree():
    rng = np.random.default_rng(0)
    table = np.full((BINS, 40), EMPTY, np.uint32)
    for text in range(40):
        full = rng.choice(BINS, rng.integers(1, BINS), replace=False)
        table[full, text] = rng.integers(0, 2**32 - 1, len(full), dtype=np.uint32)
    by_turns = table.copy()
    left = np.arange(40) == 7
    _by_turns(by_turns, left)
    by_rank = _by_rank(np.ascontiguousarray(table.T)).T
    assert (by_rank != EMPTY).all()
    assert np.array_equal(by_turns[:, ~left], by_rank[:, ~left])
    assert np.array_equal(by_turns[:, 7], table[:, 7])
    assert np.array_equal(by_rank[table != EMPTY], table[table != EMPTY])


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.55, 0.7, 0.8, 0.9, 1.0])
def test_bands_find_a_pair_at_the_threshold(threshold):
    count, length = bands(threshold)
    assert count * length <= BINS
    assert found(threshold, count, length) >= 0.98


@given(st.lists(st.lists(st.integers(0, 4), min_size=6, max_size=6), min_size=1, max_size=3))
def test_candidates_are_all_pairs_with_a_common_key(table):
    keys = np.array(table, np.uint32)
    left, right = candidates(iter(keys))
    expected = {(i, j) for i in range(6) for j in range(i + 1, 6) if (keys[:, i] == keys[:, j]).any()}
    assert set(zip(left.tolist(), right.tolist(), strict=True)) == expected
    assert len(left) == len(expected)


def test_planted_duplicates_are_found_and_nothing_else():
    rng = random.Random(5)
    words = corpus(900, seed=3)
    texts = [" ".join(item) for item in words]
    planted = {(row, len(texts) + row): " ".join(edited(words[row], 0.05, rng)) for row in range(300)}
    pairs = near_duplicates([*texts, *planted.values()]).pairs()
    known = {(a, b) for a, b, _ in pairs}
    assert len(known & set(planted)) >= 0.97 * len(planted)
    assert not known - set(planted)


def test_scores_are_the_exact_jaccard_similarity():
    rng = random.Random(2)
    words = corpus(80)
    texts = [" ".join(item) for item in words] + [" ".join(edited(item, 0.1, rng)) for item in words]
    result = near_duplicates(texts)
    assert len(result.scores) > 50
    for a, b, score in result.at(result.floor).pairs():
        first, second = obvious_sets(texts[a], 2), obvious_sets(texts[b], 2)
        assert score == pytest.approx(len(first & second) / len(first | second), abs=1e-4)


def test_all_pairs_of_a_small_set_agree_with_the_obvious_way():
    rng = random.Random(9)
    base = corpus(6, words=(20, 60))
    texts = [" ".join(edited(base[i % 6], rng.choice([0.0, 0.05, 0.1, 0.6]), rng)) for i in range(60)]
    result = near_duplicates(texts)
    sets = [obvious_sets(text, 2) for text in texts]
    expected = {
        (a, b)
        for a in range(60)
        for b in range(a + 1, 60)
        if len(sets[a] & sets[b]) / len(sets[a] | sets[b]) >= result.threshold
    }
    found_pairs = {(a, b) for a, b, _ in result.pairs()}
    assert found_pairs <= expected
    assert len(found_pairs) >= 0.97 * len(expected)


def test_the_order_of_the_rows_does_not_matter():
    rng = random.Random(4)
    words = corpus(200, seed=8)
    texts = [" ".join(item) for item in words + [edited(item, 0.08, rng) for item in words[:90]]]
    texts += texts[:20]
    order = list(range(len(texts)))
    rng.shuffle(order)

    def clusters(chosen):
        groups = near_duplicates([texts[row] for row in chosen]).clusters()
        return {frozenset(chosen[row] for row in group) for group in groups}

    assert clusters(range(len(texts))) == clusters(order)


def test_hash_seed_does_not_matter():
    code = (
        "import hashlib, random; from lighten.data.near import near_duplicates\n"
        "rng = random.Random(0); base = [[str(rng.randrange(99999)) for _ in range(40)] for _ in range(50)]\n"
        "texts = [' '.join(b[:k] + ['new'] + b[k:]) for b in base for k in (3, 9, 30)]\n"
        "print(hashlib.sha256(repr(near_duplicates(texts).pairs()).encode()).hexdigest())\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(digests) == 1 and len(digests.pop()) == 65


def test_short_texts_are_left_alone():
    assert near_duplicates(["a good film it is", "a good film it was"] * 2).pairs() == []
    assert len(near_duplicates(["a good film it is"] * 2, fewest=1).pairs()) == 1


@pytest.mark.parametrize("texts", [[], [""], ["", "", "..."], ["word"]])
def test_nothing_to_compare(texts):
    result = near_duplicates(texts)
    assert result.pairs() == [] and result.clusters() == [] and result.causes() == {}


def test_thousands_of_copies_cost_one_search():
    words = [f"w{i}" for i in range(60)]
    texts = [" ".join(words)] * 3000 + [" ".join(["x", *words[1:]])] * 500
    result = near_duplicates(texts)
    assert len(result.scores) == 1
    assert len(result.causes()) == 3499
    assert [len(group) for group in result.clusters()] == [3500]
