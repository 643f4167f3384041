"""The ways in Spark: each is a function of a session and a spec that gives a function of a DataFrame.

All read the same cached DataFrame (id and the task's inputs), of one partition a core: stock ``spark_udf`` loads its
model again for every partition where the master is local, so more of them would slow it, and fewer leave cores idle.
Every task has one core. All write to the same sink, which takes every column and keeps nothing. The rest is Spark's
default, the threads that libraries get included (Spark sets OMP_NUM_THREADS to spark.task.cpus).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import pyarrow as pa

from benchmarks.pipelines import STOCK, inputs_of
from benchmarks.text.ratios import HERE
from benchmarks.text.spec import Spec

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Scoring = Callable[["DataFrame"], "DataFrame"]


def stock(spark: SparkSession, spec: Spec, *, logged: str = "stock") -> Scoring:
    """``mlflow.pyfunc.spark_udf`` of the model as logged."""
    import mlflow

    scored = mlflow.pyfunc.spark_udf(spark, spec.logged[logged])
    return lambda df: df.withColumn("scored", scored("text"))


def stock_batch32(spark: SparkSession, spec: Spec) -> Scoring:
    """The same of the model logged with ``model_config={"batch_size": 32}``."""
    return stock(spark, spec, logged="stock-batch32")


def stock_logged_here(spark: SparkSession, spec: Spec) -> Scoring:
    """The same of the model as ``udfs.pyfunc.log_model`` logs it, in the dtype that the engine chooses."""
    return stock(spark, spec, logged=HERE)


def pipeline_udf(spark: SparkSession, spec: Spec, *, batch_size: int = 1) -> Scoring:
    """The task's transformers pipeline, broadcast, in an iterator pandas UDF; its default batch is 1."""
    from pyspark.sql.functions import pandas_udf
    from transformers import pipeline

    stock, params, columns = STOCK[spec.task], spec.params, inputs_of(spec.task)
    sent = spark.sparkContext.broadcast(pipeline(stock.pipeline, model=spec.model, device="cpu"))

    def score(batches: Iterator[Any]) -> Iterator[pd.DataFrame]:
        run = sent.value
        for batch in batches:
            yield stock.score(run, batch if isinstance(batch, tuple) else (batch,), params, batch_size)

    batch: Any = pd.Series if len(columns) == 1 else tuple[pd.Series, ...]
    score.__annotations__ = {"batches": Iterator[batch], "return": Iterator[pd.DataFrame]}
    scored = pandas_udf(score, stock.returns)
    return lambda df: df.withColumn("scored", scored(*columns))


def pipeline_batch32(spark: SparkSession, spec: Spec) -> Scoring:
    """The same with batches of 32, in the order in which rows come."""
    return pipeline_udf(spark, spec, batch_size=32)


def predict_batch(spark: SparkSession, spec: Spec) -> Scoring:
    """``pyspark.ml.functions.predict_batch_udf`` with batches of 64, padded to the longest."""
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql.types import DoubleType, StringType, StructField, StructType

    folder = spec.model

    def make() -> Callable[..., Any]:
        import numpy as np
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        names = np.array([model.config.id2label[i] for i in range(model.config.num_labels)])

        def predict(texts: Any) -> dict[str, Any]:
            inputs = tokenizer(texts.tolist(), padding=True, truncation=True, return_tensors="pt")
            with torch.inference_mode():
                scores = model(**inputs).logits.softmax(dim=-1).max(dim=-1)
            return {"label": names[scores.indices.numpy()], "score": scores.values.double().numpy()}

        return predict

    returns = StructType([StructField("label", StringType()), StructField("score", DoubleType())])
    scored = predict_batch_udf(make, return_type=returns, batch_size=64)
    return lambda df: df.withColumn("scored", scored("text"))


def engine(spark: SparkSession, spec: Spec, *, dtype: str | None = None) -> Scoring:
    """``udfs.score`` of the model, as logged where it is, in the dtype it chooses."""
    from engine.options import Compute
    from udfs.scoring import prepare, score

    uri = spec.logged.get("stock", spec.model)
    model = prepare(spark, uri, task=spec.task, params=spec.params, compute=Compute(dtype=dtype or spec.dtype))
    columns = {name: name for name in inputs_of(spec.task)}
    return lambda df: score(df, model=model, input=columns, output="scored")


def engine_float32(spark: SparkSession, spec: Spec) -> Scoring:
    """The same in float32, the dtype that the other ways compute in."""
    return engine(spark, spec, dtype="float32")


Ways = dict[str, Callable[["SparkSession", Spec], Scoring]]

_ENGINE: Final[Ways] = {"engine": engine, "engine-float32": engine_float32}
#: What a model of text-classification meets, and what one of any other task does: there, stock is the pipeline.
_TEXT: Final[Ways] = {
    "stock": stock,
    "stock-batch32": stock_batch32,
    HERE: stock_logged_here,
    "pipeline-udf": pipeline_udf,
    "predict-batch-udf": predict_batch,
}
_OTHERS: Final[Ways] = {"stock": pipeline_udf, "stock-batch32": pipeline_batch32}
#: By task.
WAYS: Final[dict[str, Ways]] = {
    task: {**_ENGINE, **(_TEXT if task == "text-classification" else _OTHERS)} for task in STOCK
}


class SparkWay:
    """One way in a Spark session of its own."""

    def __init__(self, spec: Spec) -> None:
        start = time.perf_counter()
        self.spark = session(spec.cores)
        self.session_s = time.perf_counter() - start
        self.spec = spec
        texts = spec.read_texts()
        self.rows = self._frame(texts)
        self.cold_rows = self._frame(texts[: spec.cold_rows])
        self.few_rows = self._frame(texts[: 4 * spec.cores])

    def cold(self) -> dict[str, Any]:
        """Makes the way and scores the first rows. Returns their answers, seconds until the first row and until all."""
        start = time.time()
        self.scoring = WAYS[self.spec.task][self.spec.way](self.spark, self.spec)
        scored = self.scoring(self.cold_rows).selectExpr("id", f"{STOCK[self.spec.task].answer} answer")
        found = scored.mapInArrow(_when, "id LONG, answer STRING, at DOUBLE").collect()
        return {
            "session_s": self.session_s,
            "cold_s": time.time() - start,
            "first_row_s": min(row["at"] for row in found) - start,
            "answers": {row["id"]: row["answer"] for row in found},
        }

    def ready(self) -> None:
        """Scores a few rows in every worker, since Spark ends those that were idle for a minute.

        With workers alive it takes what is fixed in a pass.
        """
        _run(self.scoring(self.few_rows))

    def run(self) -> None:
        """Scores all rows."""
        _run(self.scoring(self.rows))

    def facts(self) -> dict[str, Any]:
        """What the workers run on: torch's threads in each, and the partitions."""
        threads = self.few_rows.select("id").mapInArrow(_threads, "threads INT").first()["threads"]
        return {"worker_threads": threads, "partitions": self.rows.rdd.getNumPartitions()}

    def close(self) -> None:
        self.spark.stop()

    def _frame(self, texts: list[Any]) -> DataFrame:
        names = inputs_of(self.spec.task)
        columns = [texts] if len(names) == 1 else zip(*texts, strict=True)
        inputs = {name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=True)}
        table = pa.table({"id": pa.array(range(len(texts)), pa.int64()), **inputs})
        frame = self.spark.createDataFrame(table).cache()
        if frame.count() != len(texts) or frame.rdd.getNumPartitions() != self.spec.cores:
            raise RuntimeError(f"expected {len(texts)} rows in {self.spec.cores} partitions")
        return frame


def session(cores: int) -> SparkSession:
    """A local session of so many cores, without Delta or a user interface."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # workers take the system's Python otherwise
    options = {
        "spark.master": f"local[{cores}]",
        "spark.task.cpus": "1",
        "spark.default.parallelism": str(cores),
        "spark.driver.memory": "2g",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
    }
    builder = SparkSession.builder.appName("benchmark")
    for key, value in options.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def _run(df: DataFrame) -> None:
    df.write.format("noop").mode("overwrite").save()


def _when(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        at = pa.array([time.time()] * batch.num_rows, pa.float64())
        yield pa.RecordBatch.from_arrays([*batch.columns, at], names=["id", "answer", "at"])


def _threads(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import torch

    for _ in batches:
        yield pa.record_batch({"threads": pa.array([torch.get_num_threads()], pa.int32())})
