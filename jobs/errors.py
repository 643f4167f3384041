"""What can go wrong with a job, and the exit code that a command ends with.

EmbercastError                  (engine.errors)
├── DefinitionError             2: the definition is wrong; carries every problem found
├── TooManyFailedRowsError      3: more rows failed than errors.max_fraction allows; what was scored is kept
├── LimitReachedError           5: the run would exceed limits, or reached one; what was scored is kept
└── RunError                    4: the run failed
    ├── SourceChangedError      rows of the source were changed or removed, or its schema was
    └── LeaseHeldError          another run of the same job is under way
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.errors import DamagedBundleError, DeviceError, EmbercastError, ModelError, ParameterError, SchemaError


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing wrong in a definition: where it stands, what was expected, what came, what to write instead.

    ``file`` is ``--set`` for an override, empty for a definition made in Python; ``line`` counts from 1.
    """

    file: str
    line: int | None
    key: str
    expected: str
    got: str
    hint: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line is not None else self.file
        start = "".join(f"{part}: " for part in (place, self.key) if part)
        return f"{start}expected {self.expected}, got {self.got}; {self.hint}"


class DefinitionError(EmbercastError):
    """The definition of a job is wrong: ``problems`` has everything that was found, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type[DefinitionError], tuple[tuple[Problem, ...]]]:
        return DefinitionError, (self.problems,)


class TooManyFailedRowsError(EmbercastError):
    """More rows failed than ``errors.max_fraction`` allows. What was scored is kept.

    Args:
        message: how many rows failed and how to list them.
        summary: the run's summary (``jobs.runner.run`` would have returned it), for the report.
    """

    def __init__(self, message: str, summary: Any = None) -> None:
        super().__init__(message)
        self.summary = summary


class LimitReachedError(EmbercastError):
    """A run would take more than ``limits`` allows, or took it: it was refused, or stopped at a commit.

    Args:
        message: which limit, and what to do.
        summary: of the run that was stopped, for the report; None where none began.
    """

    def __init__(self, message: str, summary: Any = None) -> None:
        super().__init__(message)
        self.summary = summary


class RunError(EmbercastError):
    """The run failed after it began; what was committed before stays, and a second run goes on from there."""


class SourceChangedError(RunError):
    """Rows of the source were updated, deleted or overwritten, or its schema changed, since the last run."""


class LeaseHeldError(RunError):
    """Another run of the same job is under way."""


#: exception → exit code; the first that fits counts. Anything else that goes wrong is a failed run.
_EXIT_CODES: Final[Sequence[tuple[type[EmbercastError], int]]] = (
    (TooManyFailedRowsError, 3),
    (LimitReachedError, 5),
    (DefinitionError, 2),
    (DamagedBundleError, 4),
    (ModelError, 2),
    (ParameterError, 2),
    (SchemaError, 2),
    (DeviceError, 2),
)


def exit_code(error: BaseException) -> int:
    """The exit code that an error ends a command with: 2 definition, 3 failed rows, 4 failed run, 5 limit."""
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), 4)
