"""Near-copies are found, others are not, and the estimate is near the truth."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardflow.sources.duplicates import cluster_sketches, clusters, similarity, sketch

WORDS = [f"w{i}" for i in range(3_000)]


def page(seed, words=600):
    return random.Random(seed).choices(WORDS, k=words)


def shingles(words):
    return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}


def test_the_estimate_is_near_the_true_similarity():
    errors = []
    for seed in range(40):
        one = page(seed, 1_500)
        other = one[: 1_500 * seed // 40] + page(seed + 1_000, 1_500 - 1_500 * seed // 40)
        true = len(shingles(one) & shingles(other)) / len(shingles(one) | shingles(other))
        errors.append(abs(true - similarity(sketch(" ".join(one)), sketch(" ".join(other)))))
    assert max(errors) < 0.12 and sum(errors) / len(errors) < 0.03


def test_syndicated_copies_are_one_cluster():
    originals = [" ".join(page(seed)) for seed in range(12)]
    copies = [f"Reprinted with permission. {text.upper()} Read more here." for text in originals[:6]]
    found = clusters([*originals, *copies])
    assert found == [*((i, 12 + i) for i in range(6)), *((i,) for i in range(6, 12))]


def test_clusters_do_not_grow_by_chains():
    base = page(1, 1_000)
    steps = [
        " ".join(page(99, 80 * i) + base[80 * i :]) for i in range(8)
    ]  # each near the next, the last unlike the first
    assert (
        similarity(sketch(steps[0]), sketch(steps[1])) > 0.8 > similarity(sketch(steps[0]), sketch(steps[7]))
    )
    assert len(clusters(steps)) > 1


@given(st.lists(st.text(alphabet="ab c"), max_size=12))
def test_every_text_is_in_one_cluster(texts):
    found = clusters(texts)
    assert sorted(at for group in found for at in group) == list(range(len(texts)))
    assert found == clusters(texts)
    assert all(list(group) == sorted(group) for group in found)


def test_texts_without_words_stay_alone_and_short_ones_compare_whole():
    assert clusters(["", "...", "!"]) == [(0,), (1,), (2,)]
    assert clusters(["Hello there", "hello, there!", "Hello you"]) == [(0, 1), (2,)]
    assert clusters(["全文検索は便利です", "全文検索は便利です。"]) == [(0, 1)]


def test_the_estimate_is_that_of_the_k_smallest_hashes_of_both():
    one, other = page(1, 300), page(1, 200) + page(2, 150)
    whole = [set(sketch(" ".join(words), k=10_000).hashes) for words in (one, other)]
    smallest = sorted(whole[0] | whole[1])[:64]
    expected = sum(value in whole[0] and value in whole[1] for value in smallest) / 64
    assert similarity(sketch(" ".join(one), k=64), sketch(" ".join(other), k=64)) == expected


def test_sketches_of_different_size_do_not_compare():
    with pytest.raises(ValueError, match="one k"):
        similarity(sketch("a", k=8), sketch("a", k=16))
    assert len(sketch(" ".join(page(1)), k=8).hashes) == 8
    assert cluster_sketches([]) == []
