"""A run that is done, for tests of what tells of it."""

from __future__ import annotations

from jobs.summary import Planned, Summary

SUMMARY = Summary(
    job="reviews",
    identity="0123456789abcdef",
    run_id="0123456789abcdef-1",
    model="models:/sentiment/3",
    version="3",
    digest="ab" * 32,
    task="text-classification",
    dtype="bfloat16",
    device="cpu",
    source="reviews",
    sink="reviews_scored",
    source_version=7,
    sink_version=9,
    commits=2,
    rows=2000,
    failed=10,
    skipped=40,
    duplicates=100,
    tokens=30_000,
    padded_tokens=40_000,
    forward_s=8.0,
    seconds=10.0,
    planned=Planned(rows=1990, rows_per_s=250.0, seconds=9.0),
)
