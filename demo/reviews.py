"""The labelled reviews of the demonstration: 420 of 42 products, half praise, half complaint, written for it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LABELS: Final = ("negative", "positive")
LATER: Final = 40  # reviews that arrive only after the first run


@dataclass(frozen=True)
class Review:
    """One line of reviews.tsv; ``label`` is one of ``LABELS``."""

    review_id: str
    product: str
    label: str
    body: str


@dataclass(frozen=True)
class Split:
    """Reviews to fit the classifier on, those to score at once, and those that arrive later."""

    fit: list[Review]
    first: list[Review]
    later: list[Review]


def read() -> list[Review]:
    """All reviews, in the order of the file."""
    with Path(__file__).with_name("reviews.tsv").open(encoding="utf-8", newline="") as lines:
        return [Review(**row) for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]


def split(reviews: list[Review]) -> Split:
    """The first half to fit; of the other half, all but the last ``LATER`` to score at once."""
    half = len(reviews) // 2
    return Split(fit=reviews[:half], first=reviews[half:-LATER], later=reviews[-LATER:])
