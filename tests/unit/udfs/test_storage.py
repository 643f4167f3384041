"""Hadoop's settings of s3a → how a bucket is reached."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.audio.storage import Bucket, Storage
from engine.options import Compute, Request
from tests.hearing import FakeHearing
from udfs import worker
from udfs.storage import bucket_of, storage_of


def bucket(name: str = "calls", **settings: str) -> Bucket:
    known = {f"fs.s3a.{key.replace('__', '-').replace('_', '.')}": value for key, value in settings.items()}
    return bucket_of(name, known.get, known.get)


def test_nothing_said_is_aws_and_its_own_chain() -> None:
    assert bucket() == Bucket(name="calls")
    defaults = {"path_style_access": "false", "connection_ssl_enabled": "true", "endpoint": ""}
    assert bucket(**defaults, aws_credentials_provider="org.x.EnvironmentVariableCredentialsProvider") == bucket()


def test_a_store_with_keys() -> None:
    assert bucket(
        endpoint="minio:9000",
        endpoint_region="eu-1",
        access_key="id",
        secret_key=" word\n",
        session_token="passing",
        path_style_access="true",
        connection_ssl_enabled="false",
    ) == Bucket(
        name="calls",
        endpoint="minio:9000",
        region="eu-1",
        access_key="id",
        secret_key="word",
        session_token="passing",
        path_style=True,
        secure=False,
    )


def test_what_is_said_of_the_bucket_comes_first() -> None:
    settings = {"access_key": "all", "bucket_calls_access_key": "own", "bucket_other_access_key": "other"}
    assert bucket(**settings).access_key == "own"
    assert bucket("other", **settings).access_key == "other"
    assert bucket("third", **settings).access_key == "all"


def test_public_buckets_need_no_key() -> None:
    assert bucket(aws_credentials_provider="org.apache.hadoop.fs.s3a.AnonymousAWSCredentialsProvider").anonymous


def test_public_buckets_need_no_key_though_others_have_one() -> None:
    keys = {"access_key": "id", "secret_key": "word", "session_token": "passing"}
    nameless = "org.apache.hadoop.fs.s3a.AnonymousAWSCredentialsProvider"
    assert bucket(**keys, bucket_calls_aws_credentials_provider=nameless) == Bucket(name="calls", anonymous=True)
    assert not bucket("other", **keys, bucket_calls_aws_credentials_provider=nameless).anonymous
    both = f"org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider, {nameless}"
    assert bucket(**keys, aws_credentials_provider=both).access_key == "id"
    assert bucket(aws_credentials_provider=both).anonymous


class Session:
    """As much of a SparkSession as is asked of it."""

    def __init__(self, **settings: str) -> None:
        self.settings = settings
        self._jsparkSession = self

    def sessionState(self) -> Session:
        return self

    def newHadoopConf(self) -> Session:
        return self

    def get(self, name: str) -> str | None:
        return self.settings.get(name)

    def getPassword(self, name: str) -> list[str] | None:
        found = self.settings.get(name)
        return None if found is None else [*found]


def test_only_the_buckets_among_the_roots_are_told_of() -> None:
    spark = Session(**{"fs.s3a.access.key": "id", "fs.s3a.secret.key": "word", "fs.s3a.endpoint": "here:1"})
    assert storage_of(spark, ("/data", "gs://box", "hdfs://host/x")) == Storage()  # type: ignore[arg-type]
    found = storage_of(spark, ("s3a://calls/2026", "/data", "s3://calls/2025", "s3://music"))  # type: ignore[arg-type]
    said = {"endpoint": "here:1", "access_key": "id", "secret_key": "word"}
    assert found == Storage((Bucket(name="calls", **said), Bucket(name="music", **said)))


def test_the_worker_tells_its_task(monkeypatch: pytest.MonkeyPatch) -> None:
    class Here:
        def folder(self) -> Path:
            return Path()

    monkeypatch.setattr(worker, "load", lambda *_: SimpleNamespace(manifest=None))
    monkeypatch.setattr(worker, "task_class", lambda name: lambda loaded: FakeHearing())
    storage = Storage((Bucket(name="calls", secret_key="word"),))
    request = Request(inputs={"audio": "audio"})
    described = worker.Descriptor(FakeHearing.name, request, Compute(), Here(), storage=storage)  # type: ignore[arg-type]
    assert described._task(("cpu",))[0].storage == storage
    assert "word" not in repr(described)


def test_spark_connect_shows_no_jvm() -> None:
    assert storage_of(object(), ("s3a://calls",)) == Storage()  # type: ignore[arg-type]
