"""A run of which every figure of the page can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

from jobs.course import Step
from jobs.page.counts import Counted, Counts
from jobs.page.measures import ERROR, Measure
from tests.summaries import SUMMARY as DONE

SUMMARY = replace(
    DONE,
    run_id="0123456789abcdef-2",
    duplicates=160,
    load_s=1.0,
    encode_s=2.0,
    decode_s=0.5,
    course=(
        Step(seconds=4.0, rows=600, failed=10, partitions=8, p50_s=2.0, p99_s=3.0, longest_s=3.5),
        Step(seconds=9.0, rows=2000, failed=10, partitions=8, p50_s=2.0, p99_s=5.0, longest_s=5.0),
    ),
)
LABELS = Measure("labels", "label", "name")
SCORES = Measure("scores", "score", "linear")
TOKENS = Measure("tokens of an input", "tokens", "growing")
COUNTS = Counts(
    (
        Counted(LABELS, {"good": 1500, "bad": 450}, {"good": 300, "bad": 100}),
        Counted(SCORES, {"0": 950, "19": 1000}, {"0": 200, "19": 200}, low=0.0, high=1.0),
        Counted(TOKENS, {"0": 1000, "10": 950}, {"0": 100, "10": 300}, low=0.0, high=10.0),
        Counted(ERROR, {"too_long": 4, "unreadable": 6}, {"too_long": 1}),
    ),
    before="0123456789abcdef-1",
)
