from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from demo import __main__ as demonstration
from demo import place
from jobs import doctor


@pytest.fixture(autouse=True)
def _java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "java", lambda: doctor.Check("java", doctor.State.OK, "17 at java"))


def test_check_says_what_was_found() -> None:
    assert [line.partition(":")[0] for line in place.check()] == ["python", "java", "disk"]


def test_missing_java_is_one_sentence_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = doctor.Check("java", doctor.State.FAIL, "expected Java 17 or later, found none: install a JDK 17")
    monkeypatch.setattr(doctor, "java", lambda: found)
    assert demonstration.main() == 2
    assert capsys.readouterr().err.strip() == found.message


def test_full_disk_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place.shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 30))
    with pytest.raises(place.Unfit, match=r"expected at least 2 GiB of free disk, got 1\.0 GiB free at .*: free some"):
        place.check()


def test_start_afresh_removes_only_its_own(tmp_path: Path) -> None:
    folder, other = tmp_path / ".demo", tmp_path / "other"
    for path in (folder / "tables" / "reviews", folder / "artifacts", folder / "recordings", other):
        path.mkdir(parents=True)
    (other / "kept").touch()
    (folder / "mlflow.db").touch()
    (folder / "notes.txt").touch()
    (folder / "tables" / "link").symlink_to(other)
    place.start_afresh(folder)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    assert (other / "kept").exists()


def test_start_afresh_leaves_a_linked_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "real" / "tables").mkdir(parents=True)
    (tmp_path / ".demo").symlink_to(tmp_path / "real")
    with pytest.raises(place.Unfit, match="got a link"):
        place.start_afresh(tmp_path / ".demo")
    assert (tmp_path / "real" / "tables").exists()
