"""SQL functions that an operator names once, in YAML, so that an analyst needs SQL alone. Runs on the driver.

    version: 1
    functions:
      sentiment: {model: models:/sentiment@champion}

``spark.embercast.functions`` names the file; without it ``conf/functions.yaml`` is read where it is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field, ValidationError, field_validator

import engine.options
from engine.errors import EmbercastError
from jobs import located, problems
from jobs.errors import DefinitionError, Problem
from jobs.fields import Param, Task, Text, refuse
from jobs.located import Located, Place, dotted
from jobs.references import mask, reveal
from jobs.sections import Section
from jobs.settings import ComputeSection
from jobs.variables import fill

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Names the file, in Spark's own configuration: ``spark-submit --conf spark.embercast.functions=FILE``.
CONF: Final = "spark.embercast.functions"
#: Read without it, from the folder that a command is run in.
USUAL: Final = Path("conf", "functions.yaml")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_PER_COMMIT: Final = ("max_bytes_per_commit", "max_files_per_commit")
_PER_STAGE: Final = ("gpus_per_task", "tasks_per_gpu", "executor")


class FunctionSection(Section):
    """A model as a SQL function."""

    model: Text = Field(
        description="models:/name@alias, models:/name/3, runs:/id/path or a folder",
        examples=["models:/sentiment@champion"],
    )
    task: Task | None = Field(
        default=None, description="a task (`embercast tasks` lists them)", examples=["text-classification"]
    )
    params: dict[str, Param] = Field(
        default_factory=dict, description="a mapping of the task's parameters, for all calls", examples=[{"top_k": 3}]
    )
    compute: ComputeSection = Field(
        default_factory=ComputeSection, description="a mapping as in a job", examples=[{"device": "cpu"}]
    )
    deterministic: bool = Field(
        default=False,
        description="true or false: whether Spark takes it in UPDATE, MERGE conditions and joins, and may evaluate it "
        "more often than it is written",
        examples=[True],
    )
    kind: Literal["arrow", "pandas"] | None = Field(
        default=None, description="arrow or pandas; arrow where Spark has Arrow UDFs", examples=["arrow"]
    )
    allow_foreign_code: bool = Field(
        default=False,
        description="true or false: whether a model that is no transformers flavor may run its own code",
        examples=[True],
    )

    @field_validator("params")
    @classmethod
    def _for_all_calls(cls, params: dict[str, Any]) -> dict[str, Any]:
        by_row = [name for name, value in params.items() if isinstance(value, engine.options.Column)]
        if by_row:
            hint = f"remove it, and write {by_row[0]} => column where the function is called"
            raise refuse("values for all calls", f"a column for {', '.join(by_row)}", hint)
        return params

    @field_validator("compute")
    @classmethod
    def _commits_nothing(cls, compute: ComputeSection) -> ComputeSection:
        given = [name for name in _PER_COMMIT if getattr(compute, name) is not None]
        if given:
            raise refuse("the compute of a function, which commits nothing", ", ".join(given), "remove it")
        asked = [name for name in _PER_STAGE if getattr(compute, name) not in ("auto", None)]
        if asked:
            hint = "remove it, and start the session with spark.task.resource.gpu.amount"
            raise refuse("the compute of a function, which has no stage of its own", ", ".join(asked), hint)
        return compute


class FunctionsFile(Section):
    """All of the file; each function is looked at for itself."""

    version: Literal[1] = Field(description="1", examples=[1])
    functions: dict[str, Any] = Field(
        description="a mapping of names to functions", examples=[{"sentiment": {"model": "models:/sentiment@champion"}}]
    )


@dataclass(frozen=True, kw_only=True)
class NamedFunction:
    """A function, its name in SQL, and where it is written."""

    name: str
    section: FunctionSection
    place: Place


def load(path: Path) -> tuple[NamedFunction, ...]:
    """Reads a file of functions. Raises DefinitionError with every problem in it."""
    found = located.read(path, holds="file of functions")
    functions = () if found.data is None and found.problems else tuple(_functions(found))
    if found.problems:
        raise DefinitionError(sorted(found.problems, key=lambda problem: problem.line or 0))
    return functions


def register(spark: SparkSession, path: Path | None = None) -> tuple[str, ...]:
    """Registers the functions of a file, or those that the session's configuration names. Returns their names.

    Raises DefinitionError where the file is wrong, where a name is one of Spark's own functions, or where a model can't
    be had.
    """
    path = path or _configured(spark)
    if path is None:
        return ()
    functions = load(path)
    taken = {row[0] for row in spark.sql("SHOW SYSTEM FUNCTIONS").collect()} if functions else set()
    for function in functions:
        if function.name in taken:
            raise _refused(function, "a name that Spark has no function of", function.name, "write another name")
        try:
            _register(spark, function)
        except EmbercastError as error:
            got = mask(f"{type(error).__name__}: {error}")
            raise _refused(function, "a function that can be made", got, "mend it, or remove the function") from error
    return tuple(function.name for function in functions)


def _configured(spark: SparkSession) -> Path | None:
    asked = spark.conf.get(CONF, None)
    if asked:
        return Path(asked)
    return USUAL if USUAL.is_file() else None


def _register(spark: SparkSession, function: NamedFunction) -> None:
    import udfs

    section = function.section
    udfs.register(
        spark,
        function.name,
        reveal(section.model),
        task=section.task,
        params=section.params,
        dtype=section.compute.dtype,
        device=section.compute.device,
        batch_tokens=section.compute.batch_tokens,
        threads=section.compute.threads,
        backend=section.compute.backend,
        offload=section.compute.offload,
        weights_path=reveal(section.compute.weights_path),
        allow_foreign_code=section.allow_foreign_code,
        kind=section.kind,
        deterministic=section.deterministic,
    )


def _refused(function: NamedFunction, expected: str, got: str, hint: str) -> DefinitionError:
    key = dotted(("functions", function.name))
    place = function.place
    return DefinitionError([Problem(file=place.file, line=place.line, key=key, expected=expected, got=got, hint=hint)])


def _refuse_variables(found: Located) -> None:
    """A command's variables are for its job: here a reference to one would never get its value."""
    before = len(found.problems)
    fill(found, {})
    hint = "write the value, or ${env:NAME}: --var fills job definitions alone"
    found.problems[before:] = [replace(one, hint=hint) for one in found.problems[before:]]


def _functions(found: Located) -> Iterator[NamedFunction]:
    _refuse_variables(found)
    problems.add_unset_references(found)
    if not isinstance(found.data, dict):
        found.add((), "a mapping with version and functions", problems.words(found.data), "write them")
        return
    try:
        file = FunctionsFile.model_validate(found.data)
    except ValidationError as error:
        problems.add_validation(found, error, FunctionsFile)
        return
    for name, data in file.functions.items():
        section = _section(found, name, data)
        if section is not None:
            yield NamedFunction(name=name, section=section, place=found.place(("functions", name)))


def _section(found: Located, name: str, data: Any) -> FunctionSection | None:
    key = ("functions", name)
    if not _NAME.fullmatch(name):
        hint = "write a name of lower-case letters, digits and underscores that starts with a letter"
        found.add(key, "a name of a SQL function", problems.words(name), hint)
    if not isinstance(data, dict):
        hint = f"write {name}: {{model: models:/{name}@champion}}"
        found.add(key, "a mapping with model", problems.words(data), hint)
        return None
    own = Located(data=data, places={known[2:]: place for known, place in found.places.items() if known[:2] == key})
    section = None
    try:
        section = FunctionSection.model_validate(data)
    except ValidationError as error:
        problems.add_validation(own, error, FunctionSection)
    problems.add_task(own)
    found.problems += [replace(one, key=f"{dotted(key)}.{one.key}".rstrip(".")) for one in own.problems]
    return section
