"""Tables of recordings: every door and every kind of column, files as rows, and what workers know of object stores."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from engine.audio.storage import Bucket, Storage
from engine.errors import SchemaError
from jobs.errors import TooManyFailedRowsError
from jobs.plan import plan
from jobs.runner import run
from jobs.tables import read_source
from tests import audio_models
from tests.recordings import tone, wav
from tests.spark.job import define
from udfs import register, score, udf
from udfs.storage import storage_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

TASK: Final = "audio-classification"
SOUNDS: Final = [audio_models.tone(0.5, seed=0), None, audio_models.tone(0.3, seed=1)]
BROKEN: Final = b"no recording"
#: Inputs, and the parameters that they need beside the roots of paths.
KINDS: Final[Mapping[str, tuple[tuple[str, ...], Mapping[str, Any]]]] = {
    "bytes": (("bytes",), {}),
    "base64": (("base64",), {"strings": "base64"}),
    "path": (("path",), {}),
    "uri": (("uri",), {}),
    "samples": (("samples", "rate"), {}),
    "doubles": (("doubles", "rate"), {}),
}


@pytest.fixture(scope="module")
def hearer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny random audio-classification model."""
    return str(audio_models.save_encoder(tmp_path_factory.mktemp("hearer") / "model", num_labels=3))


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return [str(tmp_path_factory.mktemp("recordings"))]


@pytest.fixture(scope="module")
def table(spark: SparkSession, roots: list[str]) -> DataFrame:
    """Two recordings, one of them twice, a null and a broken one, in every kind of column."""
    rows = []
    for i, samples in enumerate([*SOUNDS, SOUNDS[0], BROKEN]):
        data = samples if samples is None or isinstance(samples, bytes) else audio_models.wav(samples)
        file = Path(roots[0], f"{i} %41.wav")
        if data is not None:
            file.write_bytes(data)
        numbers = None if samples is None else [float("nan")] if isinstance(samples, bytes) else samples.tolist()
        text = None if data is None else base64.b64encode(data).decode()
        uri = f"file:{roots[0]}/{i}%20%2541.wav"
        named = (None, None) if data is None else (file.name, uri)
        rows.append((i, data, text, *named, numbers, numbers, audio_models.RATE))
    columns = "bytes BINARY, base64 STRING, path STRING, uri STRING, samples ARRAY<FLOAT>, doubles ARRAY<DOUBLE>"
    return spark.createDataFrame(rows, f"id INT, {columns}, rate INT").coalesce(1)


Ask = Callable[..., Any]


def by_score(table: DataFrame, hearer: str, kind: str, inputs: tuple[str, ...], params: Any) -> DataFrame:
    named = dict(zip(("audio", "sampling_rate"), inputs, strict=False))
    return score(table, model=hearer, input=named, output=f"heard_{kind}", task=TASK, params=params)


def by_arrow(table: DataFrame, hearer: str, kind: str, inputs: tuple[str, ...], params: Any) -> DataFrame:
    hears = udf(table.sparkSession, hearer, task=TASK, params=params, kind="arrow")
    return table.withColumn(f"heard_{kind}", hears(*inputs))


def by_pandas(table: DataFrame, hearer: str, kind: str, inputs: tuple[str, ...], params: Any) -> DataFrame:
    hears = udf(table.sparkSession, hearer, task=TASK, params=params, kind="pandas")
    return table.withColumn(f"heard_{kind}", hears(*inputs))


def by_sql(table: DataFrame, hearer: str, kind: str, inputs: tuple[str, ...], params: Any) -> DataFrame:
    register(table.sparkSession, f"hears_{kind}", hearer, task=TASK, params=params)
    return table.selectExpr("*", f"hears_{kind}({', '.join(inputs)}) AS heard_{kind}")


@pytest.mark.parametrize("door", [by_score, by_arrow, by_pandas, by_sql])
def test_every_door_hears_every_kind_of_column(table: DataFrame, hearer: str, roots: list[str], door: Ask) -> None:
    heard = {}
    for kind, (inputs, params) in KINDS.items():  # one after the other: a worker loads the model once
        found = door(table, hearer, kind, inputs, {**params, "roots": roots})
        heard[kind] = [row[f"heard_{kind}"] for row in found.select("id", f"heard_{kind}").orderBy("id").collect()]
        first, null, second, again, broken = heard[kind]
        assert null is None or set(null.asDict().values()) == {None}
        assert (broken["label"], broken["error"]["code"]) == (None, "invalid_audio")
        assert [one["error"] for one in (first, second, again)] == [None] * 3
        assert first == again == heard["bytes"][0]
        assert second == heard["bytes"][2]
        assert [first["duration_s"], second["duration_s"]] == [0.5, 0.3]


def test_paths_without_roots_are_refused_before_a_row_is_read(
    spark: SparkSession, table: DataFrame, hearer: str, tmp_path: Path
) -> None:
    with pytest.raises(SchemaError, match="expected roots, below which the paths of column path may be read"):
        score(table, model=hearer, input="path", output="s", task=TASK)
    table.select("id", "path").write.format("delta").save(f"{tmp_path}/source")
    definition = define(tmp_path, hearer, task=TASK, source={"inputs": {"audio": "path"}}, sink={"keep": []})
    with pytest.raises(SchemaError, match="params: expected roots, below which the paths of column path may be read"):
        plan(definition, spark=spark)


def test_files_are_rows(spark: SparkSession, hearer: str, tmp_path: Path) -> None:
    files = tmp_path / "source"
    files.mkdir()
    for name in ("a.wav", "b c+50%25.wav", "notes.txt"):
        (files / name).write_bytes(wav(tone(0.1)))
    source = {
        "format": "binaryFile",
        "key": ["path"],
        "inputs": {"audio": "content"},
        "options": {"pathGlobFilter": "*.wav"},
    }
    definition = define(tmp_path, hearer, task=TASK, source=source, sink={"keep": ["length"]})
    whole = {row["path"]: bytes(row["content"]) for row in read_source(spark, definition).collect()}
    assert whole == {f"file:{files}/{name}": (files / name).read_bytes() for name in ("a.wav", "b c+50%25.wav")}
    done = run(definition, spark=spark)
    assert (done.rows, done.failed) == (2, 0)
    assert done.audio_s == pytest.approx(0.1 * (2 - done.duplicates))
    (files / "d.wav").write_bytes(wav(tone(0.2)))
    (files / "e.wav").write_bytes(wav(tone(0.2))[:100])
    with pytest.raises(TooManyFailedRowsError) as caught:
        run(definition, spark=spark)
    assert (caught.value.summary.rows, caught.value.summary.failed) == (2, 1)
    assert caught.value.summary.audio_s == pytest.approx(0.2)
    assert run(definition, spark=spark).rows == 0
    scored = spark.read.format("delta").load(f"{tmp_path}/sink").orderBy("path").collect()
    names = ["a.wav", "b c+50%25.wav", "d.wav", "e.wav"]
    assert [(row["path"], row["length"]) for row in scored] == [
        (f"file:{files}/{name}", (files / name).stat().st_size) for name in names
    ]
    codes = [row["sentiment"]["error"] and row["sentiment"]["error"]["code"] for row in scored]
    assert codes == [None, None, None, "invalid_audio"]


def test_hadoop_says_how_a_bucket_is_reached(spark: SparkSession) -> None:
    settings = {
        "fs.s3a.endpoint": "http://store:9000",
        "fs.s3a.path.style.access": "true",
        "fs.s3a.access.key": "id",
        "fs.s3a.bucket.calls.secret.key": "word",
    }
    for name, value in settings.items():
        spark.conf.set(name, value)
    try:
        assert storage_of(spark, ("s3a://calls/2026",)) == Storage(
            (Bucket(name="calls", endpoint="http://store:9000", access_key="id", secret_key="word", path_style=True),)
        )
    finally:
        for name in settings:
            spark.conf.unset(name)
