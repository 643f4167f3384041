"""A logged model that is no transformers flavor: refused until its code is allowed, then carried as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from engine.errors import ModelError, UnsafeModelError, UnsupportedTaskError
from engine.models import cache
from engine.models.artifact import make_artifact_bundle
from engine.models.registry import resolve
from engine.tasks import PYFUNC


def artifact(folder: Path, flavor: str = "python_function") -> Path:
    """What MLflow writes, as far as it is read here."""
    (folder / "code" / "__pycache__").mkdir(parents=True)
    (folder / "code" / "helper.py").write_text("raise SystemExit('this ran')\n", encoding="utf-8")
    (folder / "code" / "bundle.json").write_text("{}", encoding="utf-8")  # its own, of the name of a bundle's manifest
    (folder / "code" / "__pycache__" / "helper.pyc").write_bytes(b"made here")
    logged = {"flavors": {flavor: {"loader_module": "helper", "code": "code"}}}
    (folder / "MLmodel").write_text(yaml.safe_dump(logged), encoding="utf-8")
    return folder


def test_its_code_has_to_be_allowed(tmp_path: Path) -> None:
    folder = artifact(tmp_path / "model")
    with pytest.raises(UnsafeModelError, match=r"\(helper\), on the driver and on every executor.* allow_foreign_code"):
        resolve(str(folder))
    ref = resolve(str(folder), allow_foreign_code=True)
    assert (ref.task, ref.model_dir, ref.version) == (PYFUNC, folder, None)


def test_a_task_or_another_flavor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedTaskError, match="is a PyFunc, which has no task, got embeddings"):
        resolve(str(artifact(tmp_path / "one")), task="embeddings", allow_foreign_code=True)
    with pytest.raises(ModelError, match=r"a transformers or a python_function flavor, .* has crate"):
        resolve(str(artifact(tmp_path / "other", "crate")), allow_foreign_code=True)


def test_its_files_are_a_bundle(tmp_path: Path) -> None:
    ref = resolve(str(artifact(tmp_path / "model")), allow_foreign_code=True)
    bundle = make_artifact_bundle(ref)
    files = {str(path.relative_to(bundle.path)) for path in bundle.path.rglob("*") if path.is_file()}
    assert files == {"MLmodel", "code/helper.py", "code/bundle.json", "bundle.json"}
    assert cache.is_whole(bundle.path)
    assert make_artifact_bundle(ref).path == bundle.path
    (ref.model_dir / "code" / "helper.py").write_text("", encoding="utf-8")
    assert make_artifact_bundle(ref).digest != bundle.digest
