from __future__ import annotations

from collections import Counter

from demo.reviews import LABELS, LATER, read, split


def test_reviews_are_balanced_and_distinct() -> None:
    reviews = read()
    assert Counter(review.label for review in reviews) == dict.fromkeys(LABELS, 210)
    assert len({review.body.casefold() for review in reviews}) == 420
    assert [review.review_id for review in reviews] == [f"r{i:03d}" for i in range(1, 421)]
    assert set(Counter((review.product, review.label) for review in reviews).values()) == {5}


def test_reviews_are_short_plain_and_varied() -> None:
    words = [len(review.body.split()) for review in read()]
    assert min(words) >= 5
    assert max(words) <= 60
    assert sum(count > 40 for count in words) >= 20
    assert all(review.body == review.body.strip() and '"' not in review.body for review in read())


def test_split_is_whole_and_disjoint() -> None:
    parts = split(read())
    assert [len(parts.fit), len(parts.first), len(parts.later)] == [210, 170, LATER]
    assert [*parts.fit, *parts.first, *parts.later] == read()
    assert all(set(LABELS) == {review.label for review in part} for part in (parts.fit, parts.first, parts.later))
