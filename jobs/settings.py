"""The sections of a job definition that say how it runs: what on, how far, what may fail, what MLflow is told."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, field_validator
from pydantic_core.core_schema import ValidationInfo

from jobs.fields import Positive, Text, refuse
from jobs.sections import Place, Section

#: The task whose answers may become traces.
TRACED: Final = "llm/v1/chat"


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
