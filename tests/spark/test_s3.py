"""A job whose source, sink, model and weights lie in an object store, at a server that speaks as S3 does."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import udfs.pyfunc
from jobs.errors import LeaseHeldError, RunError
from jobs.lease import FILE, Lease
from jobs.progress import Progress
from jobs.runner import run
from jobs.storage import Folder, check_reachable
from tests import s3
from tests.spark import plain
from tests.spark.job import define, rows

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

    from jobs.definition import JobDefinition

pytestmark = pytest.mark.spark

ROOT = Path(__file__).resolve().parents[2]
LAKE = "s3a://lake"


@pytest.fixture(scope="module")
def store(spark: SparkSession) -> Iterator[Any]:
    """The server's client, with a bucket that the session reaches as s3a://lake, as containers reach theirs."""
    settings = spark._jsc.hadoopConfiguration()
    with s3.server() as endpoint, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_S3_ENDPOINT_URL", endpoint)
        told = {**_of_containers(), "endpoint": endpoint, "access.key": s3.KEY, "secret.key": s3.KEY}
        for name, value in told.items():
            settings.set(f"fs.s3a.bucket.lake.{name}", value)
        made = s3.client(endpoint)
        made.create_bucket(Bucket="lake")
        yield made
        for name in told:
            settings.unset(f"fs.s3a.bucket.lake.{name}")


def _of_containers() -> dict[str, str]:
    lines = (ROOT / "conf" / "spark" / "containers.conf").read_text(encoding="utf-8").splitlines()
    start = "spark.hadoop.fs.s3a."
    return dict(line.removeprefix(start).split() for line in lines if line.startswith(start))


@pytest.fixture
def folder(spark: SparkSession, store: Any, request: pytest.FixtureRequest) -> Folder:
    return Folder(spark, f"{LAKE}/{request.node.name}")


def add(spark: SparkSession, name: str, bodies: list[str | None], first: int = 0) -> None:
    rows(spark, bodies, first).write.format("delta").mode("append").save(f"{LAKE}/{name}/source")


def defined(folder: Path, name: str, model: Path | str) -> JobDefinition:
    places = {section: {"path": f"{LAKE}/{name}/{section}"} for section in ("source", "sink")}
    return define(folder, model, compute={"weights_path": f"{LAKE}/weights"}, **places)


def sink(spark: SparkSession, name: str) -> list[Row]:
    return spark.read.format("delta").load(f"{LAKE}/{name}/sink").orderBy("id").collect()


def test_source_sink_model_and_weights_lie_in_a_bucket(
    spark: SparkSession, store: Any, sentiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run dies between the write and the checkpoint; the second one scores what came meanwhile."""
    bodies = ["fine", "a longer one", None]
    add(spark, "whole", bodies)
    job = defined(tmp_path, "whole", log(sentiment))
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "committed", die)
        with pytest.raises(Gone):
            run(job, spark=spark)
    assert [row["id"] for row in sink(spark, "whole")] == [0, 1, 2]
    add(spark, "whole", ["new"], first=3)
    assert run(job, spark=spark).rows == 1

    found = sink(spark, "whole")
    assert [row["id"] for row in found] == [0, 1, 2, 3]
    for row, body in zip(found, [*bodies, "new"], strict=True):
        if body is None:
            assert row["sentiment"] is None
        else:
            scores = {one["label"]: one["score"] for one in row["sentiment"]["scores"]}
            assert scores == pytest.approx(plain.scores(sentiment, body), abs=1e-5)
    for start, end in (("models/", "model.safetensors"), ("weights/bundles/", "bundle.json"), ("whole/sink/_emb", "")):
        assert any(key.startswith(start) and key.endswith(end) for key in keys(store)), start


class Gone(Exception):
    pass


def die(*_: object) -> None:
    raise Gone


def log(model: Path) -> str:
    """The model in the registry, its files in the bucket."""
    import mlflow
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    parts = {
        "model": AutoModelForSequenceClassification.from_pretrained(model),
        "tokenizer": AutoTokenizer.from_pretrained(model),
    }
    experiment = mlflow.create_experiment("s3", artifact_location="s3://lake/models")
    with mlflow.start_run(experiment_id=experiment):
        udfs.pyfunc.log_model(parts, name="lies-in-s3", task="text-classification", registered_model_name="lies-in-s3")
    return "models:/lies-in-s3/1"


def keys(store: Any) -> list[str]:
    pages = store.get_paginator("list_objects_v2").paginate(Bucket="lake")
    return [one["Key"] for page in pages for one in page["Contents"]]


def test_files_of_a_folder_are_written_replaced_and_moved(folder: Folder) -> None:
    assert folder.create("a", "1")
    assert not folder.create("a", "2")
    assert folder.read("a") == "1"
    folder.write("a", "3")
    assert folder.read("a") == "3"
    assert folder.rename("a", "b")
    assert not folder.rename("a", "c")
    assert folder.names("") == ["b"]
    folder.delete("b")
    assert not folder.exists("b")


def test_of_two_that_create_a_file_at_once_one_does(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither sees a file when it begins; the store lets one be written."""
    fill, told = Folder._fill, []

    def after_another(stream: Any, text: str) -> None:
        monkeypatch.setattr(Folder, "_fill", staticmethod(fill))
        told.append(folder.create("lease", "the other"))
        fill(stream, text)

    monkeypatch.setattr(Folder, "_fill", staticmethod(after_another))
    assert not folder.create("lease", "this one")
    assert told == [True]
    assert folder.read("lease") == "the other"


def test_one_run_at_a_time(folder: Folder) -> None:
    with Lease(folder, "r1"), pytest.raises(LeaseHeldError, match="run r1 of this job is under way"):
        Lease(folder, "r2").__enter__()
    folder.create(FILE, json.dumps({"run": "r3", "host": "elsewhere", "pid": 1, "seen": time.time() - 200}))
    with Lease(folder, "r4"):
        assert json.loads(folder.read(FILE))["run"] == "r4"
    assert not folder.exists(FILE)


@pytest.mark.parametrize(
    ("uri", "advice"),
    [("oss://lake/reviews", r"put the jars .* into spark\.jars"), ("s3://lake/reviews", "write s3a://, and set EMB")],
)
def test_a_store_without_its_jars_is_told(spark: SparkSession, uri: str, advice: str) -> None:
    with pytest.raises(RunError, match=f"a filesystem for {uri[:4]}.* in the Spark session, it has none: {advice}"):
        check_reachable(spark, uri)
