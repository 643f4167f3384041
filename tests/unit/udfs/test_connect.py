"""What is uploaded to a Spark Connect session, and what a worker makes of it, without a server."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.models.bundle import Bundle, make_bundle
from engine.models.cache import verify
from engine.models.registry import resolve
from tests import tiny
from udfs.connect import ArtifactWeights
from udfs.weights import SharedWeights, ship


class Session:
    """Keeps what is added as Spark does: by the name of the file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.added: list[str] = []

    def addArtifacts(self, *paths: str, file: bool) -> None:
        assert file
        self.added += [Path(path).name for path in paths]
        for path in paths:
            shutil.copyfile(path, self.folder / Path(path).name)


Session.__module__ = "pyspark.sql.connect.session"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    home = tmp_path_factory.mktemp("bundle")
    return make_bundle(resolve(str(tiny.save(home / "model"))), "float32", root=home)


@pytest.fixture
def spark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    from pyspark import SparkFiles

    added = tmp_path / "added"
    added.mkdir()
    monkeypatch.setattr(SparkFiles, "_root_directory", str(added))
    monkeypatch.setattr(SparkFiles, "_is_running_on_worker", True)
    return Session(added)


def test_a_worker_has_the_bundle_that_was_uploaded(spark: Any, bundle: Bundle, tmp_path: Path) -> None:
    shipped = ship(spark, bundle, root=tmp_path / "host")
    assert isinstance(shipped, ArtifactWeights)
    assert shipped.folder() == tmp_path / "host" / "bundles" / bundle.digest
    verify(shipped.folder(), bundle.digest)


def test_it_is_uploaded_once_a_session(spark: Any, bundle: Bundle) -> None:
    first = ship(spark, bundle)
    assert len(set(spark.added)) == len(spark.added) == sum(path.is_file() for path in bundle.path.rglob("*"))
    assert ship(spark, bundle) == first
    assert len(spark.added) == len(first.files)  # type: ignore[attr-defined]


def test_an_upload_that_failed_is_tried_again(spark: Any, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: str, file: bool) -> None:
        raise ConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(spark, "addArtifacts", fail)
        with pytest.raises(ConnectionError):
            ship(spark, bundle)
    ship(spark, bundle)
    assert spark.added


def test_a_shared_folder_takes_its_place(spark: Any, bundle: Bundle, tmp_path: Path) -> None:
    assert isinstance(ship(spark, bundle, weights_path=str(tmp_path)), SharedWeights)
    assert spark.added == []
