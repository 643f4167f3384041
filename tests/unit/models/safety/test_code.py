"""Whose code an artifact brings, and under which name."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import UnsafeModelError
from engine.models import flavor
from engine.models.manifest import sha256
from engine.models.safety import code
from tests import poison
from udfs.pyfunc import embercast_loader


def check(folder: Path, *, allow: bool = False) -> tuple[str, ...]:
    return code.check("m", folder, flavor.described(folder), allow_foreign_code=allow)


def test_the_loader_of_this_release_is_known() -> None:
    """Releases of one format write one file. A change of it is a new format, with a digest beside these."""
    found = sha256(Path(embercast_loader.__file__))
    assert found in code.OWN_DIGESTS, f"udfs/pyfunc/embercast_loader.py has the digest {found}"
    assert Path(embercast_loader.__file__).stem == code.OWN


def test_code_that_takes_nobodys_name_lies_there_and_is_said(tmp_path: Path) -> None:
    folder = poison.logged(tmp_path / "model", ours=True)
    assert check(folder) == ()
    poison.module(folder / "code" / "helpers.py", tmp_path / "ran")
    poison.module(folder / "code" / "ours" / "words.py", tmp_path / "ran")
    poison.module(folder / "code" / "__pycache__" / "json.pyc", tmp_path / "ran")
    (folder / "code" / "words.txt").touch()
    expected = ("it brings code of its own (code/helpers.py, code/ours), which is not run here; stock MLflow runs it",)
    assert check(folder) == expected
    assert check(folder, allow=True) == expected


@pytest.mark.parametrize(
    "name",
    ["json.py", "torch.py", "torch.cpython-311-x86_64-linux-gnu.so", "engine", "numpy.pyc", "psutil.py", "triton"],
)
def test_names_of_others_are_refused(tmp_path: Path, name: str) -> None:
    folder = poison.logged(tmp_path / "model", ours=True)
    (folder / "code" / name).mkdir() if "." not in name else (folder / "code" / name).touch()
    taken = name.partition(".")[0]
    with pytest.raises(
        UnsafeModelError, match=rf"code/{taken}.* would replace the module {taken} in the whole process"
    ):
        check(folder)
    assert check(folder, allow=True)


def test_every_flavors_folder_is_looked_at(tmp_path: Path) -> None:
    folder = poison.logged(tmp_path / "model")
    poison.module(folder / "lib" / "pandas.py", tmp_path / "ran")
    assert check(folder) == ()
    poison.edit(folder, "transformers", code="lib")
    with pytest.raises(UnsafeModelError, match=r"brings lib/pandas\.py"):
        check(folder)


@pytest.mark.parametrize("loader", ["mlflow.transformers", "embercast_loader"])
def test_loaders_of_mlflow_and_ours_pass(tmp_path: Path, loader: str) -> None:
    folder = poison.logged(tmp_path / "model")
    poison.edit(folder, "python_function", loader_module=loader)
    assert check(folder) == ()


@pytest.mark.parametrize("loader", ["os", "mlflow.pyfunc.model", None])
def test_other_loaders_are_refused(tmp_path: Path, loader: str | None) -> None:
    folder = poison.logged(tmp_path / "model", ours=True)
    poison.edit(folder, "python_function", loader_module=loader)
    with pytest.raises(UnsafeModelError, match=f"names {loader}: stock MLflow would run that module"):
        check(folder)
    assert check(folder, allow=True) == ()


def test_our_loader_in_a_stock_model_is_ours(tmp_path: Path) -> None:
    """Python keeps one module of a name: an altered one would serve the models that are loaded after it."""
    folder = poison.logged(tmp_path / "model")
    poison.altered_loader(folder, tmp_path / "ran")
    with pytest.raises(
        UnsafeModelError, match=r"expected code/embercast_loader\.py of m as a release of embercast wrote"
    ):
        check(folder)
