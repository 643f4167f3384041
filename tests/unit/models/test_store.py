"""A bundle in an object store, on a server that speaks as S3 does."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from engine.audio.roots import location_of
from engine.audio.storage import Bucket, Storage
from engine.errors import DamagedBundleError, ModelError, ParameterError
from engine.models import cache
from engine.models.manifest import FILE, Manifest
from engine.models.store import Store
from tests import s3
from tests.unit.models.test_cache import fill

PLACE = "s3a://models/weights"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3.server() as endpoint:
        s3.client(endpoint).create_bucket(Bucket="models")
        yield endpoint


@pytest.fixture
def store(endpoint: str) -> Store:
    keys = {"access_key": s3.KEY, "secret_key": s3.KEY, "region": s3.REGION}
    return Store(
        location_of(PLACE, "weights_path"),
        Storage((Bucket(name="models", endpoint=endpoint, path_style=True, **keys),)),
    )


@pytest.fixture
def bundle(tmp_path: Path) -> tuple[Path, Manifest]:
    folder = tmp_path / "bundle"
    folder.mkdir()
    return folder, fill(folder)


def keys(endpoint: str) -> dict[str, Any]:
    found = s3.client(endpoint).list_objects_v2(Bucket="models").get("Contents", [])
    return {one["Key"]: one["LastModified"] for one in found}


def test_each_host_gets_what_the_driver_laid_there(
    store: Store, endpoint: str, bundle: tuple[Path, Manifest], tmp_path: Path
) -> None:
    folder, manifest = bundle
    store.put(folder, manifest)
    there = f"weights/bundles/{manifest.digest}"
    first = keys(endpoint)
    assert first.keys() == {f"{there}/{name}" for name in (*manifest.files, FILE)}
    store.put(folder, manifest)
    assert keys(endpoint) == first  # nothing was laid there anew
    travelled: Store = pickle.loads(pickle.dumps(store))
    assert s3.KEY not in repr(travelled)
    got = cache.ensure(manifest.digest, partial(travelled.fetch, manifest.digest), root=tmp_path)
    for name in manifest.files:
        assert (got / name).read_bytes() == (folder / name).read_bytes()


def test_what_was_cut_short_is_laid_there_again(
    store: Store, endpoint: str, bundle: tuple[Path, Manifest], tmp_path: Path
) -> None:
    folder, manifest = bundle
    store.put(folder, manifest)
    there = f"weights/bundles/{manifest.digest}/model.safetensors"
    s3.client(endpoint).put_object(Bucket="models", Key=there, Body=b"half")
    with pytest.raises(DamagedBundleError):
        cache.ensure(manifest.digest, partial(store.fetch, manifest.digest), root=tmp_path)
    assert not (tmp_path / "bundles" / manifest.digest).exists()
    store.put(folder, manifest)
    assert cache.is_whole(cache.ensure(manifest.digest, partial(store.fetch, manifest.digest), root=tmp_path))


def test_names_of_another_manifest_are_not_written(
    store: Store, endpoint: str, bundle: tuple[Path, Manifest], tmp_path: Path
) -> None:
    folder, manifest = bundle
    store.put(folder, manifest)
    text = manifest.to_json().replace("model.safetensors", "../../leads.out")
    s3.client(endpoint).put_object(Bucket="models", Key=f"weights/bundles/{manifest.digest}/{FILE}", Body=text.encode())
    (tmp_path / "into").mkdir()
    with pytest.raises(ModelError, match=r"below s3://models/weights, it was written over"):
        store.fetch(manifest.digest, tmp_path / "into")
    assert [path.name for path in (tmp_path / "into").iterdir()] == [FILE]


def test_a_bucket_that_is_not_there(
    store: Store, bundle: tuple[Path, Manifest], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, manifest = bundle
    caplog.set_level(logging.INFO)
    gone = Store(location_of("s3a://elsewhere/x", "weights_path"), Storage((_named("elsewhere", store),)))
    with pytest.raises(
        ModelError, match=r"expected to lay the weights at s3://elsewhere/x, got .*bucket and keys"
    ) as told:
        gone.put(folder, manifest)
    with pytest.raises(ModelError, match="expected to find the weights at s3://elsewhere/x"):
        gone.fetch(manifest.digest, tmp_path)
    assert s3.KEY not in str(told.value) + caplog.text


def _named(name: str, store: Store) -> Bucket:
    from dataclasses import replace

    return replace(store.storage.buckets[0], name=name)


def test_a_scheme_that_nobody_reads_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"expected weights_path to be folders or URIs .*, got 'ftp://host/x'"):
        location_of("ftp://host/x", "weights_path")
