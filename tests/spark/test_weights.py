"""How a bundle reaches the workers: what is sent, what lies on the host afterwards, and what is done about damage."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from engine.device import Choice
from engine.errors import ModelError
from engine.models.bundle import Bundle
from engine.models.cache import verify
from engine.options import Compute
from tests import s3
from udfs import broadcast, score, udf
from udfs.broadcast import BroadcastWeights
from udfs.scoring import PreparedModel, prepare
from udfs.weights import (
    ARTIFACTS,
    BROADCAST_BYTES,
    SETTING,
    LocalWeights,
    SharedWeights,
    StoredWeights,
    Weights,
    choose_way,
    ship,
)

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

pytestmark = pytest.mark.spark

BODIES = ["a good day", "they were not there", "so many people said so"]


@pytest.fixture(scope="module")
def model(spark: SparkSession, sentiment: Path) -> PreparedModel:
    return prepare(spark, str(sentiment), compute=Compute(dtype="float32"))


@pytest.fixture(scope="module")
def bundle(model: PreparedModel) -> Bundle:
    return model.bundle


def scored(spark: SparkSession, model: PreparedModel, shipped: Weights) -> list[Row]:
    """What workers that get the weights in this way say of ``BODIES``."""
    df = spark.createDataFrame([(body,) for body in BODIES], "body STRING").coalesce(1)
    return score(df, model=replace(model, weights=shipped), input="body", output="s").collect()


def state(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p.relative_to(folder)): (p.stat().st_ino, p.stat().st_mtime_ns) for p in folder.rglob("*")}


def test_local_workers_use_the_folder_that_the_driver_made(spark: SparkSession, bundle: Bundle) -> None:
    assert ship(spark, bundle) == LocalWeights(bundle.path)


@pytest.mark.oldest
def test_a_broadcast_is_unpacked_on_the_host_whole(
    spark: SparkSession, model: PreparedModel, bundle: Bundle, tmp_path: Path
) -> None:
    shipped = ship(spark, bundle, root=tmp_path)
    assert isinstance(shipped, BroadcastWeights)
    assert len(shipped.shards) == 1
    assert scored(spark, model, shipped) == scored(spark, model, LocalWeights(bundle.path))
    folder = tmp_path / "bundles" / bundle.digest
    verify(folder, bundle.digest)
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in bundle.path.iterdir())
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.oldest
def test_a_udf_unpacks_the_broadcast_too(
    spark: SparkSession, model: PreparedModel, bundle: Bundle, tmp_path: Path
) -> None:
    sent = replace(model, weights=ship(spark, bundle, root=tmp_path))
    df = spark.createDataFrame([(body,) for body in BODIES], "body STRING").coalesce(1)
    found = df.withColumn("s", udf(spark, sent, kind="pandas")("body")).collect()
    assert found == scored(spark, model, LocalWeights(bundle.path))
    verify(tmp_path / "bundles" / bundle.digest, bundle.digest)


def test_shards_are_cut_anywhere(
    spark: SparkSession, model: PreparedModel, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcast, "SHARD_BYTES", 9_973)
    shipped = ship(spark, bundle, root=tmp_path)
    assert isinstance(shipped, BroadcastWeights)
    size = bundle.nbytes + (bundle.path / "bundle.json").stat().st_size
    assert len(shipped.shards) == -(-size // 9_973) > 10
    assert scored(spark, model, shipped) == scored(spark, model, LocalWeights(bundle.path))
    verify(tmp_path / "bundles" / bundle.digest, bundle.digest)


def test_a_second_job_finds_the_folder(
    spark: SparkSession, model: PreparedModel, bundle: Bundle, tmp_path: Path
) -> None:
    scored(spark, model, ship(spark, bundle, root=tmp_path))
    before = state(tmp_path)
    assert len(before) > 4
    scored(spark, model, ship(spark, bundle, root=tmp_path))
    assert state(tmp_path) == before


@pytest.mark.parametrize("way", ["broadcast", "shared"])
def test_a_damaged_folder_is_made_again(
    spark: SparkSession, model: PreparedModel, bundle: Bundle, tmp_path: Path, way: str
) -> None:
    host = tmp_path / "host"
    damaged = host / "bundles" / bundle.digest / "model.safetensors"
    shutil.copytree(bundle.path, damaged.parent)
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    shipped = ship(spark, bundle, weights_path=str(tmp_path) if way == "shared" else None, root=host)
    assert scored(spark, model, shipped) == scored(spark, model, LocalWeights(bundle.path))
    verify(damaged.parent, bundle.digest)


def test_a_shared_folder_is_filled_once_and_copied_to_the_host(
    spark: SparkSession, model: PreparedModel, bundle: Bundle, tmp_path: Path
) -> None:
    shared, host = tmp_path / "shared", tmp_path / "host"
    shared.mkdir()
    shipped = ship(spark, bundle, weights_path=str(shared), root=host)
    assert isinstance(shipped, SharedWeights)
    assert shared in shipped.path.parents
    verify(shipped.path, bundle.digest)
    before = state(shared)
    assert ship(spark, bundle, weights_path=str(shared), root=host) == shipped
    assert state(shared) == before
    assert scored(spark, model, shipped) == scored(spark, model, LocalWeights(bundle.path))
    verify(host / "bundles" / bundle.digest, bundle.digest)


def test_a_uri_of_a_folder_is_the_folder(spark: SparkSession, bundle: Bundle, tmp_path: Path) -> None:
    assert ship(spark, bundle, weights_path=tmp_path.as_uri()) == ship(spark, bundle, weights_path=str(tmp_path))


def test_a_bucket_is_filled_once_and_copied_to_the_host(
    spark: SparkSession, model: PreparedModel, bundle: Bundle, tmp_path: Path
) -> None:
    """The keys are Spark's own: workers learn them from the driver."""
    with s3.server() as endpoint:
        s3.client(endpoint).create_bucket(Bucket="models")
        hadoop = spark.sparkContext._jsc.hadoopConfiguration()
        settings = {"endpoint": endpoint, "endpoint.region": s3.REGION, "path.style.access": "true"}
        settings |= {"access.key": s3.KEY, "secret.key": s3.KEY}
        for name, value in settings.items():
            hadoop.set(f"fs.s3a.bucket.models.{name}", value)
        shipped = ship(spark, bundle, weights_path="s3a://models/weights", root=tmp_path)
        assert isinstance(shipped, StoredWeights)
        assert scored(spark, model, shipped) == scored(spark, model, LocalWeights(bundle.path))
    verify(tmp_path / "bundles" / bundle.digest, bundle.digest)


def test_a_damaged_shared_folder_is_made_again(spark: SparkSession, bundle: Bundle, tmp_path: Path) -> None:
    first = ship(spark, bundle, weights_path=str(tmp_path))
    assert isinstance(first, SharedWeights)
    (first.path / "config.json").write_text("{}")
    assert ship(spark, bundle, weights_path=str(tmp_path)) == first
    verify(first.path, bundle.digest)


def test_a_shared_folder_that_is_not_there_is_an_error_not_a_new_folder(
    spark: SparkSession, bundle: Bundle, tmp_path: Path
) -> None:
    missing = tmp_path / "unmounted"
    with pytest.raises(ModelError, match=r"expected a folder at weights_path .*unmounted, there is none"):
        ship(spark, bundle, weights_path=str(missing))
    assert not missing.exists()
    unseen = SharedWeights(missing / bundle.digest, bundle.digest, tmp_path / "host")
    with pytest.raises(ModelError, match="this host does not see them: mount the folder here"):
        unseen.folder()


def test_on_spark_connect_weights_are_artifacts_unless_a_path_is_named(bundle: Bundle, tmp_path: Path) -> None:
    named = {SETTING: str(tmp_path)}
    connect: Any = type(
        "SparkSession", (), {"__module__": "pyspark.sql.connect.session", "conf": SimpleNamespace(get=named.get)}
    )()
    assert choose_way(connect, BROADCAST_BYTES) == Choice(ARTIFACTS, "at most 2 GiB")
    assert choose_way(connect, BROADCAST_BYTES + 1) == Choice(str(tmp_path), "more than 2 GiB")
    assert isinstance(ship(connect, bundle, weights_path=str(tmp_path)), SharedWeights)
