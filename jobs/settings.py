"""The sections of a job definition that say how it runs: what on, how far, what may fail, what MLflow is told."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator
from pydantic_core.core_schema import ValidationInfo

from jobs.fields import Name, Positive, Text, refuse
from jobs.sections import Place, Section

Memory = Annotated[str, Field(pattern=r"^[1-9]\d*[kmgt]b?$")]

#: The task whose answers may become traces.
TRACED: Final = "llm/v1/chat"
#: A field of a connection of Airflow's.
SECRET: Final = re.compile(r"^(?P<connection>[\w.-]+?)\.(?P<field>login|password|host|port|schema|extra\.[\w-]+)$")
#: The name of an environment variable.
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class ExecutorSection(Section):
    """Executors that Spark starts for the stage that scores, where it allocates them dynamically."""

    gpus: Positive = Field(description="the GPUs of each, a whole number above 0", examples=[1])
    cores: Positive = Field(description="the cores of each, a whole number above 0", examples=[8])
    memory: Memory | None = Field(
        default=None, description="the memory of its JVM, a text such as 4g; left out, the session's", examples=["4g"]
    )
    memory_overhead: Memory | None = Field(
        default=None,
        description="the memory beside the JVM, for Python and the model, a text such as 16g; left out, the session's",
        examples=["16g"],
    )
    discovery_script: str = Field(
        default="",
        description="a script on every host that names an executor's GPUs, on YARN and Kubernetes",
        examples=["/opt/embercast/conf/spark/gpus.sh"],
    )
    vendor: str = Field(default="", description="of the GPUs, on Kubernetes", examples=["nvidia.com"])


class ComputeSection(Section):
    """What to compute on; auto is decided by the hardware, and ``embercast plan`` shows each choice with its reason."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="auto, float32, bfloat16 or float16", examples=["auto"]
    )
    device: str = Field(
        default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu, cuda or cuda:N", examples=["auto"]
    )
    batch_tokens: Literal["auto"] | Positive = Field(
        default="auto", description="auto or the tokens of a micro-batch, a whole number above 0", examples=[4096]
    )
    threads: Literal["auto"] | Positive = Field(
        default="auto", description="auto or the CPU threads of a worker, a whole number above 0", examples=[2]
    )
    backend: Literal["auto", "transformers", "vllm"] = Field(
        default="auto",
        description="auto, transformers or vllm: what writes the texts of a task that writes",
        examples=["auto"],
    )
    gpus_per_task: Literal["auto"] | Positive = Field(
        default="auto",
        description="auto or the GPUs that a task owns, a whole number above 0: auto takes as many as hold the model",
        examples=[2],
    )
    tasks_per_gpu: Literal["auto"] | Positive = Field(
        default="auto",
        description="auto or the tasks that share a GPU, a whole number above 0: auto takes one, or a few where the "
        "model is small",
        examples=[2],
    )
    offload: bool = Field(
        default=True,
        description="true or false: whether weights that the GPUs have no room for may stay in the host's memory",
        examples=[False],
    )
    executor: ExecutorSection | None = Field(
        default=None,
        description="a mapping: executors that Spark starts for the stage that scores",
        examples=[{"gpus": 1, "cores": 8}],
    )
    max_seconds_per_batch: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="the seconds that a worker may take for a micro-batch before it is taken for hung, a number",
        examples=[600],
    )
    weights_path: Text | None = Field(
        default=None,
        description="a folder or URI (file://, s3a://, gs://, abfss://, hdfs://) that every host sees, for the weights",
        examples=["s3a://models/weights"],
    )
    price_per_hour: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="what the whole cluster costs an hour, a number in any currency",
        examples=[12.5],
    )
    max_bytes_per_commit: Annotated[str, Field(pattern=r"^[1-9]\d*(b|[kmgt]b?)?$")] | None = Field(
        default=None, description="how much of the source a commit covers, a text such as 512m or 1g", examples=["1g"]
    )
    max_files_per_commit: Positive | None = Field(
        default=None, description="how many files of the source a commit covers, a whole number above 0", examples=[100]
    )

    @field_validator("executor")
    @classmethod
    def _on_gpus(cls, executor: ExecutorSection | None, info: ValidationInfo) -> ExecutorSection | None:
        if executor is not None and info.data.get("device") == "cpu":
            raise refuse("device auto or cuda beside executors with GPUs", "device cpu", "remove one")
        return executor

    @field_validator("tasks_per_gpu")
    @classmethod
    def _owns_or_shares(cls, tasks: int | str, info: ValidationInfo) -> int | str:
        gpus = info.data.get("gpus_per_task", "auto")
        if not {"auto", 1} & {gpus, tasks}:
            got = f"gpus_per_task {gpus} and tasks_per_gpu {tasks}"
            raise refuse("tasks that own GPUs or share one", got, "remove one")
        return tasks


class Limits(Section):
    """What a run may take: refused where the plan exceeds it, stopped at a commit where the run does."""

    max_rows: Positive | None = Field(
        default=None, description="the rows that a run may score, a whole number above 0", examples=[50_000_000]
    )
    max_hours: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="the hours that a run may take, a number", examples=[6]
    )
    max_price: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="the price that a run may have, by compute.price_per_hour, a number",
        examples=[40],
    )


class Trigger(Section):
    """When a run that goes on looks for rows that came."""

    every: str = Field(
        pattern=r"^[1-9]\d* (second|minute|hour)s?$",
        description="how often rows that came are scored, a text such as 1 minute",
        examples=["1 minute"],
    )


class Schedule(Section):
    """When Airflow runs a job, and how (``jobs.dags``)."""

    cron: Annotated[str, Field(pattern=r"^(@(hourly|daily|weekly|monthly|quarterly|yearly)|\S+( \S+){4})$")] | None = (
        Field(
            default=None,
            description="when, as cron says it, a text; left out, whenever the job whose sink is this source is done",
            examples=["0 2 * * *"],
        )
    )
    timezone: Name = Field(default="UTC", description="the time zone of cron, a text", examples=["Europe/Berlin"])
    retries: int = Field(
        default=2, ge=0, description="how often a run that failed is tried again, a whole number", examples=[2]
    )
    over_budget: Literal["fail", "skip", "succeed"] = Field(
        default="fail",
        description="fail, skip or succeed: what a run is marked as of which more rows failed than errors.max_fraction "
        "allows",
        examples=["skip"],
    )
    variables: dict[Name, Name] = Field(
        default_factory=dict,
        description="the values of ${var:NAME}, a mapping; Airflow fills in its templates",
        examples=[{"ds": "{{ ds }}"}],
    )
    secrets: dict[Variable, Annotated[str, Field(pattern=SECRET.pattern)]] = Field(
        default_factory=dict,
        description="environment variables of the run, a mapping to login, password, host, port, schema or extra.KEY "
        "of a connection of Airflow's",
        examples=[{"MAILS_TOKEN": "mails.password"}],
    )

    @field_validator("timezone")
    @classmethod
    def _there_is_such_a_zone(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (ValueError, ZoneInfoNotFoundError):
            raise refuse("a time zone of the IANA database", timezone, "write timezone: Europe/Berlin") from None
        return timezone


class Errors(Section):
    """How many rows may fail, and where those that did are kept."""

    max_fraction: float = Field(
        default=0.01,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="the share of rows that may fail, a number from 0 to 1",
        examples=[0.01],
    )
    table: Text | None = Field(
        default=None, description="a table of the rows that failed and were not scored since", examples=["shop.failed"]
    )
    path: Text | None = Field(
        default=None, description="the path of such a table, in place of table", examples=[".demo/tables/failed"]
    )

    @field_validator("path")
    @classmethod
    def _one_place(cls, path: str | None, info: ValidationInfo) -> str | None:
        if path is not None and info.data.get("table") is not None:
            raise refuse("either table or path", "both", "remove one")
        return path

    @property
    def letters(self) -> Place | None:
        """Where the rows that failed are kept; None where they are not."""
        return None if self.table is self.path is None else Place(table=self.table, path=self.path)


class Tracking(Section):
    """What MLflow is told of a run beside its summary, where MLFLOW_TRACKING_URI names a server."""

    traces: int = Field(
        default=0,
        ge=0,
        le=1000,
        description=f"a whole number from 0 to 1000: how many answers of {TRACED} a run makes traces of",
        examples=[20],
    )
    trace_text: bool = Field(
        default=False,
        description="true or false: whether traces hold what was asked and answered",
        examples=[True],
    )
    system_metrics: bool | None = Field(
        default=None,
        description="true or false: whether MLflow samples the driver's machine meanwhile; left out, as "
        "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING says",
        examples=[True],
    )

    page: bool = Field(
        default=True,
        description="true or false: whether MLflow keeps a page of each run, made of two passes over its answers",
        examples=[False],
    )

    @field_validator("trace_text")
    @classmethod
    def _text_of_traces(cls, trace_text: bool, info: ValidationInfo) -> bool:
        if trace_text and info.data.get("traces") == 0:
            raise refuse("traces to write text into", "none", "write traces: 20")
        return trace_text
