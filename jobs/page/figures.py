"""Everything that the page of a run shows, as numbers and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import engine
from engine.errors import ROW_ERROR_CODES
from jobs.course import Step
from jobs.page.counts import Counts
from jobs.page.distributions import Distribution, distribution
from jobs.page.measures import ERROR
from jobs.references import mask
from jobs.report import lines
from jobs.summary import Summary


@dataclass(frozen=True, kw_only=True)
class Point:
    """A run after a commit.

    Args:
        seconds: since scoring began; rows, failed: scored until then.
        rows_per_s: since the commit before.
        p50_s, p99_s, longest_s: seconds that its partitions took.
    """

    seconds: float
    rows: int
    failed: int
    rows_per_s: float
    p50_s: float
    p99_s: float
    longest_s: float


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a run did.

    Args:
        job, run: whose and which; ``before`` is the run that distributions are compared with.
        ended: why it ended before its last row, or as a failure; None of a run that is well.
        lines: name, planned, done.
        pinned: what scored and what it read and wrote, name and value.
        points: one a commit; of neighbours together where there are very many.
        partitions: of all commits; skew: p99 of the seconds that they took by p50, of the commit where it is most.
        stages: name → seconds of all workers together.
        tokens, padding: that went through the model.
        computed, duplicates, nulls: rows that the model answered, that an equal row answered, that had no input.
        errors: code, rows, whether a retry may help.
        distributions: of the answers.
    """

    job: str
    run: str
    before: str | None
    ended: str | None
    lines: tuple[tuple[str, str, str], ...]
    pinned: tuple[tuple[str, str], ...]
    points: tuple[Point, ...]
    partitions: int
    skew: float | None
    stages: Mapping[str, float]
    tokens: int
    padding: int
    computed: int
    duplicates: int
    nulls: int
    errors: tuple[tuple[str, int, bool], ...]
    distributions: tuple[Distribution, ...]

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return asdict(self)


def figures(summary: Summary, counts: Counts, *, ended: str | None = None) -> Figures:
    """Of a run that is done, and of its answers."""
    drawn = [distribution(one) for one in counts.counted if one.of is not ERROR]
    return Figures(
        job=summary.job,
        run=summary.run_id,
        before=counts.before,
        ended=None if ended is None else mask(ended),
        lines=tuple((name, mask(planned), mask(done)) for name, planned, done in lines(summary)),
        pinned=tuple((name, mask(value)) for name, value in _pinned(summary)),
        points=points(summary.course),
        partitions=sum(step.partitions for step in summary.course),
        skew=max((step.p99_s / step.p50_s for step in summary.course if step.p50_s), default=None),
        stages={name: getattr(summary, f"{name}_s") for name in ("load", "encode", "forward", "decode")},
        tokens=summary.tokens,
        padding=summary.padded_tokens - summary.tokens,
        computed=summary.rows - summary.duplicates - summary.skipped,
        duplicates=summary.duplicates,
        nulls=summary.skipped,
        errors=_errors(counts),
        distributions=tuple(one for one in drawn if one is not None),
    )


def points(course: Sequence[Step]) -> tuple[Point, ...]:
    """The steps of a run, each with the speed since the one before it."""
    found = []
    rows, seconds = 0, 0.0
    for step in course:
        took = step.seconds - seconds
        point = Point(
            seconds=step.seconds,
            rows=step.rows,
            failed=step.failed,
            rows_per_s=(step.rows - rows) / took if took > 0 else 0.0,
            p50_s=step.p50_s,
            p99_s=step.p99_s,
            longest_s=step.longest_s,
        )
        found.append(point)
        rows, seconds = step.rows, step.seconds
    return tuple(found)


def _errors(counts: Counts) -> tuple[tuple[str, int, bool], ...]:
    now = {code: count for one in counts.counted if one.of is ERROR for code, count in one.now.items()}
    often = sorted(now.items(), key=lambda one: (-one[1], one[0]))
    return tuple((code, count, ROW_ERROR_CODES.get(code, False)) for code, count in often)


def _pinned(summary: Summary) -> list[tuple[str, str]]:
    versions = summary.source_version, summary.sink_version
    read, written = ("–" if version is None else str(version) for version in versions)
    return [
        ("model", summary.model),
        ("digest", summary.digest),
        ("task", summary.task),
        ("dtype", summary.dtype),
        ("device", summary.device),
        ("engine", engine.__version__),
        ("source", f"{summary.source}, version {read}"),
        ("sink", f"{summary.sink}, version {written}"),
        ("identity", summary.identity),
        ("run", summary.run_id),
    ]
