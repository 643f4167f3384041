"""How a run went, commit by commit, in bounded memory. Runs on the driver."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

#: Steps that are kept at most; neighbours are joined where there are more. Even.
MOST: Final = 256
#: What is observed of a commit's partitions (``jobs.scoring``): fields of a step.
SPREAD: Final = ("partitions", "p50_s", "p99_s", "longest_s")


@dataclass(frozen=True, kw_only=True)
class Step:
    """Where a run was after a commit, or after several that were joined.

    Args:
        seconds: since scoring began; rows, failed: that were scored until then.
        partitions: of the commits; p50_s, p99_s, longest_s: seconds that these took, of the commit where it was most.
    """

    seconds: float
    rows: int
    failed: int
    partitions: int = 0
    p50_s: float = 0.0
    p99_s: float = 0.0
    longest_s: float = 0.0

    def joined(self, later: Step) -> Step:
        """Both as one step."""
        return Step(
            seconds=later.seconds,
            rows=later.rows,
            failed=later.failed,
            partitions=self.partitions + later.partitions,
            p50_s=max(self.p50_s, later.p50_s),
            p99_s=max(self.p99_s, later.p99_s),
            longest_s=max(self.longest_s, later.longest_s),
        )


@dataclass
class Course:
    """The steps of a run, however many commits it makes."""

    steps: list[Step] = field(default_factory=list)

    def add(self, step: Step) -> None:
        """Adds a commit's."""
        self.steps.append(step)
        if len(self.steps) == MOST:
            pairs = zip(self.steps[::2], self.steps[1::2], strict=True)
            self.steps = [one.joined(later) for one, later in pairs]
