"""What a scheduler has to know of a definition, read without anything that scores. Runs where DAGs are parsed.

The rest of a definition is looked at when the job runs, and by ``embercast validate``: its task needs Arrow's types,
its references the environment of the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ConfigDict, Field, ValidationError

from jobs import located, problems
from jobs.errors import DefinitionError, Problem
from jobs.fields import JobName
from jobs.sections import Place, Section
from jobs.settings import Schedule
from jobs.variables import named

_PATTERNS: Final = ("*.yaml", "*.yml")


class _Place(Place):
    model_config = ConfigDict(extra="ignore")


class _Definition(Section):
    model_config = ConfigDict(extra="ignore")

    name: JobName
    source: _Place = Field(description="a mapping with table or path", examples=[{"table": "reviews"}])
    sink: _Place = Field(description="a mapping with table or path", examples=[{"table": "reviews_scored"}])
    schedule: Schedule | None = Field(default=None, description="a mapping", examples=[{"cron": "0 2 * * *"}])


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """A definition as a scheduler sees it.

    Args:
        file: that holds it, absolute.
        name: of the job.
        source, sink: ``table:reviews`` or ``path:…``, references as written: equal where one job reads what another
            one writes.
        schedule: as asked for; None where the definition has none.
        variables: the names for which it has ``${var:NAME}``.
    """

    file: Path
    name: str
    source: str
    sink: str
    schedule: Schedule | None
    variables: frozenset[str]

    def problem(self, key: str, expected: str, got: str, hint: str) -> Problem:
        """Something wrong in it that only its scheduler sees."""
        return Problem(file=str(self.file), line=None, key=key, expected=expected, got=got, hint=hint)


def read(file: Path) -> Scheduled:
    """Reads one definition. Raises DefinitionError with what is wrong in its name, places or schedule."""
    found = located.read(file)
    definition = None
    if not found.problems:
        try:
            definition = _Definition.model_validate(found.data)
        except ValidationError as error:
            problems.add_validation(found, error, _Definition)
    if definition is None or found.problems:
        raise DefinitionError(found.problems)
    return Scheduled(
        file=file.resolve(),
        name=definition.name,
        source=definition.source.written,
        sink=definition.sink.written,
        schedule=definition.schedule,
        variables=frozenset(named(found.data)),
    )


def read_all(folder: Path) -> tuple[Scheduled, ...]:
    """Reads every definition of a folder, by file name.

    Raises DefinitionError with what is wrong in all of them together, a name that two of them have included.
    """
    files = sorted({file for pattern in _PATTERNS for file in folder.glob(pattern)})
    if not files:
        got = "no YAML file" if folder.is_dir() else "no folder"
        hint = "write the path of the folder that holds them, from the root on"
        raise DefinitionError(
            [Problem(file=str(folder), line=None, key="", expected="job definitions", got=got, hint=hint)]
        )
    found: list[Scheduled] = []
    wrong: list[Problem] = []
    for file in files:
        try:
            found.append(read(file))
        except DefinitionError as error:
            wrong += error.problems
    wrong += _twins(found)
    if wrong:
        raise DefinitionError(wrong)
    return tuple(found)


def due(jobs: Sequence[Scheduled]) -> tuple[Scheduled, ...]:
    """Those that run by themselves: with a cron, or with a source that is the sink of another one that runs.

    Raises DefinitionError for a schedule by which a job would never run.
    """
    running = {job.name for job in jobs if job.schedule and job.schedule.cron}
    while following := _readers(jobs, {job.sink for job in jobs if job.name in running}) - running:
        running |= following
    hint = "write cron: 0 2 * * *, or remove schedule"
    expected = "cron, or a source that is the sink of a job with a schedule"
    never = [job for job in jobs if job.schedule and job.name not in running]
    if never:
        raise DefinitionError([job.problem("schedule", expected, "neither", hint) for job in never])
    return tuple(job for job in jobs if job.name in running)


def _readers(jobs: Iterable[Scheduled], places: Set[str]) -> set[str]:
    return {job.name for job in jobs if job.source in places}


def _twins(jobs: Iterable[Scheduled]) -> list[Problem]:
    first: dict[str, Scheduled] = {}
    return [
        job.problem("name", "a name of its own", f"that of {first[job.name].file.name}", "write another name")
        for job in jobs
        if first.setdefault(job.name, job) is not job
    ]
