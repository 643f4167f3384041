"""The ways in Spark: each is a function of a session and a spec that gives a function of a DataFrame.

All read the same table (id, user, answer), one partition a core, so that every core has a worker with one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import pyarrow as pa

from benchmarks.chat import rows as table
from benchmarks.chat.rows import SYSTEM, Row
from benchmarks.chat.spec import Spec
from benchmarks.text.spark import session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: A table of chats → id, text, its row's error, and the prompt's tokens that were not computed anew.
Answering = Callable[["DataFrame"], "DataFrame"]


def pipeline(spark: SparkSession, spec: Spec) -> Answering:
    """The stock text-generation pipeline in an iterator pandas UDF, made once a worker."""
    from pyspark.sql.functions import lit, pandas_udf

    def text(batches: Iterator[tuple[pd.Series, pd.Series]]) -> Iterator[pd.Series]:
        for users, answers in batches:
            yield pd.Series(by_pipeline(spec, users.tolist(), answers.tolist()), dtype=object)

    text.__annotations__ = {"batches": Iterator[tuple[pd.Series, pd.Series]], "return": Iterator[pd.Series]}
    answered = pandas_udf(text, "string")("user", "answer").alias("text")
    return lambda df: df.select("id", answered, lit(None).alias("code"), lit(0).alias("cached"))


def by_pipeline(spec: Spec, users: list[str], answers: list[int]) -> list[str]:
    """The texts that the pipeline writes, batch by batch. It takes one length for all rows of a call, so each batch is
    a call with that of its longest answer, and texts are longer than their rows ask."""
    run, size = _pipeline(spec.model, spec.dtype), spec.options["batch"]
    found = []
    for start in range(0, len(users), size):
        chats = [
            [{"role": "system", "content": SYSTEM}, {"role": "user", "content": user}]
            for user in users[start : start + size]
        ]
        steps = max(answers[start : start + size])
        given = {"max_new_tokens": steps, "min_new_tokens": steps, "do_sample": False}
        found += run(chats, batch_size=size, return_full_text=False, **given)
    return [one[0]["generated_text"] for one in found]


def engine(spark: SparkSession, spec: Spec) -> Answering:
    """``udfs.score`` of the model's folder, task llm/v1/chat, with every row's own length."""
    from engine.options import Column, Compute
    from udfs.scoring import prepare, score

    length = Column("answer")
    params = {"system": SYSTEM, "temperature": 0.0, "max_tokens": length, "min_tokens": length}
    model = prepare(spark, spec.model, task="llm/v1/chat", params=params, compute=Compute(dtype=spec.dtype))

    def answered(df: DataFrame) -> DataFrame:
        scored = score(df, model=model, input="user", output="said")
        text, cached = "said.choices[0].message.content text", "said.usage.prompt_tokens_details.cached_tokens cached"
        return scored.selectExpr("id", text, "said.error.code", cached)

    return answered


_MAKERS: Final = {"engine": engine, "pipeline": pipeline}


class ChatWay:
    """One way in a Spark session of its own."""

    def __init__(self, spec: Spec) -> None:
        start = time.perf_counter()
        self.spark = session(spec.cores)
        self.session_s = time.perf_counter() - start
        self.spec = spec
        made = table.read(spec.rows)[: spec.count]
        self.rows = self._frame(list(enumerate(made)))
        self.few = self._frame(sorted(enumerate(made), key=lambda row: row[1].answer)[: spec.cores])
        self.found: list[Any] = []

    def cold(self) -> dict[str, Any]:
        """Makes the way and writes the shortest answers. Returns the seconds from a started session until then."""
        start = time.perf_counter()
        self.answering = _MAKERS[self.spec.way.partition("-")[0]](self.spark, self.spec)
        self.ready()
        return {"session_s": self.session_s, "cold_s": time.perf_counter() - start}

    def ready(self) -> None:
        """A row in every worker: Spark ends those that were idle for a minute, and their models with them."""
        self.answering(self.few).collect()

    def run(self) -> None:
        """Answers all rows."""
        self.found = self.answering(self.rows).collect()

    def facts(self) -> dict[str, Any]:
        """Of the last pass: texts and errors by row, and how many of the prompts' tokens were there already."""
        return {
            "dtype": self.spec.dtype,
            "texts": {row["id"]: row["text"] for row in self.found if row["code"] is None},
            "errors": {row["id"]: row["code"] for row in self.found if row["code"] is not None},
            "cached_tokens": sum(row["cached"] or 0 for row in self.found),
        }

    def close(self) -> None:
        self.spark.stop()

    def _frame(self, made: list[tuple[int, Row]]) -> DataFrame:
        columns = {
            "id": pa.array([number for number, _ in made], pa.int64()),
            "user": pa.array([row.user for _, row in made], pa.string()),
            "answer": pa.array([row.answer for _, row in made], pa.int32()),
        }
        frame = self.spark.createDataFrame(pa.table(columns)).cache()
        if frame.count() != len(made) or frame.rdd.getNumPartitions() != min(self.spec.cores, len(made)):
            raise RuntimeError(f"expected {len(made)} rows in {self.spec.cores} partitions")
        return frame


@lru_cache(maxsize=1)
def _pipeline(folder: str, dtype: str) -> Any:
    import torch
    from transformers import pipeline as made

    run = made("text-generation", model=folder, device="cpu", dtype=getattr(torch, dtype))
    run.tokenizer.padding_side = "left"  # it pads on the right as it comes, and then writes after the padding
    return run
