"""What to score, with what, into what: a job in YAML. Everything here runs on the driver."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core.core_schema import ValidationInfo

import engine.options
from jobs import located, problems
from jobs.batches import FORMAT
from jobs.batches.check import check_sink, check_source
from jobs.batches.implied import implied
from jobs.errors import DefinitionError
from jobs.fields import JobName, Param, Task, Text, refuse
from jobs.sections import Section, Sink, Source
from jobs.settings import TRACED, ComputeSection, Errors, Limits, Schedule, Tracking, Trigger
from jobs.variables import fill, parse

if TYPE_CHECKING:
    from engine.schema import TaskSchema

#: A new epoch scores everything again; this release knows one.
_EPOCH: Final = 0


class JobDefinition(Section):
    """A job: a model scores the new rows of a source into a sink.

    Texts hold ``${env:NAME}`` as written, so that a definition can be printed whole; ``jobs.references.reveal`` gives
    the value where it is used.
    """

    version: Literal[1] = Field(description="1", examples=[1])
    name: JobName
    model: Text = Field(
        description="models:/name@alias, models:/name/3, runs:/id/path or a folder",
        examples=["models:/sentiment@champion"],
    )
    task: Task | None = Field(
        default=None, description="a task (`embercast tasks` lists them)", examples=["text-classification"]
    )
    source: Source = Field(
        description="a mapping with table or path, key and inputs",
        examples=[{"table": "reviews", "key": ["review_id"], "inputs": {"text": "body"}}],
    )
    params: dict[str, Param] = Field(
        default_factory=dict, description="a mapping of the task's parameters", examples=[{"top_k": 3}]
    )
    compute: ComputeSection = Field(
        default_factory=ComputeSection, description="a mapping", examples=[{"dtype": "auto"}]
    )
    sink: Sink = Field(
        description="a mapping with table or path", examples=[{"table": "reviews_scored", "output": "sentiment"}]
    )
    on_change: Literal["new_rows", "rescore", "fail"] = Field(
        default="new_rows",
        description="new_rows, rescore or fail: what another model, dtype, parameter or engine means for the rows that "
        "were scored before",
        examples=["rescore"],
    )
    allow_foreign_code: bool = Field(
        default=False,
        description="true or false: whether a model may bring code of its own, and a PyFunc run it",
        examples=[True],
    )
    errors: Errors = Field(default_factory=Errors, description="a mapping", examples=[{"max_fraction": 0.01}])
    limits: Limits = Field(default_factory=Limits, description="a mapping", examples=[{"max_rows": 50_000_000}])
    tracking: Tracking = Field(default_factory=Tracking, description="a mapping", examples=[{"system_metrics": True}])
    trigger: Trigger | None = Field(
        default=None,
        description="a mapping: a run with one goes on with the rows that come until it is stopped",
        examples=[{"every": "1 minute"}],
    )
    schedule: Schedule | None = Field(
        default=None,
        description="a mapping: when Airflow runs the job, and how",
        examples=[{"cron": "0 2 * * *", "retries": 2}],
    )

    @model_validator(mode="before")
    @classmethod
    def _as_its_format_implies(cls, data: Any) -> Any:
        return implied(data)

    @field_validator("source")
    @classmethod
    def _source_fits(cls, source: Source, info: ValidationInfo) -> Source:
        check_source(source, info.data)
        return source

    @field_validator("sink")
    @classmethod
    def _sink_fits(cls, sink: Sink, info: ValidationInfo) -> Sink:
        check_sink(sink, info.data)
        source = info.data.get("source")
        if source is not None and source.fed and sink.mode == "replace_where":
            raise refuse("changes: fail beside mode: replace_where", source.changes, "remove it: a run reads all rows")
        return sink

    @field_validator("on_change")
    @classmethod
    def _a_backfill_scores_all(cls, on_change: str, info: ValidationInfo) -> str:
        sink = info.data.get("sink")
        if on_change != "new_rows" and sink is not None and sink.mode == "replace_where":
            raise refuse("no on_change beside mode: replace_where", on_change, "remove it: a run scores all its rows")
        return on_change

    @field_validator("limits")
    @classmethod
    def _a_price_is_known(cls, limits: Limits, info: ValidationInfo) -> Limits:
        compute = info.data.get("compute")
        if limits.max_price is not None and compute is not None and compute.price_per_hour is None:
            raise refuse("compute.price_per_hour beside a price", "none", "write there what the cluster costs an hour")
        return limits

    @field_validator("tracking")
    @classmethod
    def _traces_of_chats(cls, tracking: Tracking, info: ValidationInfo) -> Tracking:
        task = info.data.get("task")
        if tracking.traces and task not in (None, TRACED):
            raise refuse(f"traces of {TRACED} alone", f"some of {task}", "remove traces")
        return tracking

    @field_validator("trigger")
    @classmethod
    def _a_run_can_go_on(cls, trigger: Trigger | None, info: ValidationInfo) -> Trigger | None:
        sink = info.data.get("sink")
        if trigger is not None and sink is not None and sink.mode == "replace_where":
            raise refuse("no trigger beside mode: replace_where", "one", "remove it: a run scores all its rows")
        if trigger is not None and sink is not None and sink.format == FORMAT:
            raise refuse(f"no trigger beside format: {FORMAT}", "one", "remove it: its files are written at the end")
        return trigger

    @property
    def own(self) -> str:
        """The SQL condition that rows of the sink meet which this job's runs wrote."""
        return f"_run_id LIKE '{self.identity}-%'"

    @property
    def merges(self) -> bool:
        """Whether a row takes the place of that with its key."""
        return self.sink.mode == "merge" or self.source.changes == "rescore"

    @property
    def identity(self) -> str:
        """16 hex digits of name, source, sink and epoch.

        Two runs with one identity are runs of one job. A path counts as it is written (without ``./`` and ``file:``),
        so that a job keeps its identity when its folder is mounted elsewhere.
        """
        named = json.dumps([self.name, self.source.location, self.sink.location, _EPOCH])
        return hashlib.sha256(named.encode()).hexdigest()[:16]

    def request(self, task: str | None = None, *, schema: TaskSchema | None = None) -> engine.options.Request:
        """The columns and parameters the engine reads. ``task`` is the model's, needed where the definition names none,
        ``schema`` what the model reads, needed where the task table lacks it.

        Raises SchemaError for inputs that the task does not have, UnsupportedTaskError for a task that there is not.
        """
        inputs = self.source.inputs
        if isinstance(inputs, str):
            from engine.schema import schema_of

            inputs = {(schema or schema_of(task or self.task or "")).inputs[0].name: inputs}
        return engine.options.Request(inputs=inputs, params=self.params)

    def compute_options(self) -> engine.options.Compute:
        """Dtype, device, token budget, threads, backend and patience, as asked for."""
        asked = self.compute
        started = None
        if asked.executor is not None:
            started = engine.options.ExecutorRequest(**asked.executor.model_dump())
        return engine.options.Compute(
            dtype=asked.dtype,
            device=asked.device,
            batch_tokens=asked.batch_tokens,
            threads=asked.threads,
            backend=asked.backend,
            gpus_per_task=asked.gpus_per_task,
            tasks_per_gpu=asked.tasks_per_gpu,
            offload=asked.offload,
            executor=started,
            max_seconds_per_batch=asked.max_seconds_per_batch,
        )


def load(path: str | Path, *, overrides: Sequence[str] = (), variables: Sequence[str] = ()) -> JobDefinition:
    """Reads a definition.

    Args:
        path: a YAML file.
        overrides: ``a.b=value`` each, over what the file says; the value is YAML.
        variables: ``name=value`` each, for ``${var:name}``.

    Raises DefinitionError with every problem of the file and the overrides at once.
    """
    return _checked(located.read(Path(path)), overrides, parse(variables))


def made(data: Mapping[str, Any], *, overrides: Sequence[str] = ()) -> JobDefinition:
    """A definition of what YAML would hold. Raises DefinitionError as ``load`` does."""
    return _checked(located.Located(data=dict(data)), overrides, {})


def _checked(found: located.Located, overrides: Sequence[str], variables: Mapping[str, str]) -> JobDefinition:
    if found.problems and found.data is None:
        raise DefinitionError(found.problems)
    for assignment in overrides:
        located.override(found, assignment)
    fill(found, variables)
    problems.add_unset_references(found)
    definition = None
    try:
        definition = JobDefinition.model_validate(found.data)
    except ValidationError as error:
        problems.add_validation(found, error, JobDefinition)
    problems.add_clashes(found)
    problems.add_task(found)
    if definition is None or found.problems:
        first = found.place(()).file
        raise DefinitionError(sorted(found.problems, key=lambda problem: (problem.file != first, problem.line or 0)))
    return definition


def json_schema() -> dict[str, Any]:
    """JSON Schema of a definition, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **JobDefinition.model_json_schema()}
