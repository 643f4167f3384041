"""What PostgreSQL needs of the machine, told where it is missing."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from demo.cluster import database
from demo.place import Unfit


def test_a_missing_postgresql_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Unfit, match=r"expected PostgreSQL, there is no initdb: install it \(Debian: apt install"):
        database._programs()


def test_the_newest_release_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = "/usr/lib/postgresql"
    monkeypatch.setattr(Path, "glob", lambda *_: iter(Path(f"{folder}/{n}/bin/initdb") for n in (9, 15, 13)))
    assert database._programs() == Path(f"{folder}/15/bin")


def test_it_runs_as_this_user_unless_that_is_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert database._user() is None
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", {}.__getitem__)
    with pytest.raises(Unfit, match="expected a user postgres, since this is root"):
        database._user()


def test_a_folder_that_it_may_not_enter_is_told(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "home").mkdir(parents=True)
    closed.chmod(0o700)
    with pytest.raises(Unfit, match=r"expected a folder that the user postgres may enter, .* is closed to it"):
        database._check_open(closed / "home")
