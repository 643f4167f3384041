from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import chats, ctc_models, tagging, tiny


@pytest.fixture(scope="module")
def sentiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny two-label classifier as save_pretrained writes it."""
    labels = {0: "negative", 1: "positive"}
    return tiny.save(tmp_path_factory.mktemp("sentiment"), id2label=labels, label2id={v: k for k, v in labels.items()})


@pytest.fixture(scope="module")
def spark() -> Any:
    from jobs.session import session

    return session("docs")


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CTC model."""
    return ctc_models.save(tmp_path_factory.mktemp("letters"))


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with a chat template."""
    return chats.save(tmp_path_factory.mktemp("chat"))


@pytest.fixture(scope="module")
def entities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that finds entities."""
    return tagging.save(tmp_path_factory.mktemp("entities"))


@pytest.fixture
def registry(sentiment: Path, letters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An MLflow on sqlite that has models:/sentiment@champion and models:/letters@champion."""
    from jobs.log import log_folder

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    log_folder(sentiment, name="sentiment", task=None, alias="champion")
    log_folder(letters, name="letters", task=None, alias="champion")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBERCAST_CACHE", str(tmp_path / "cache"))
