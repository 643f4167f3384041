"""Local files below the roots: links, dots, things that are no files, and swaps between looking and opening."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from engine.audio import local
from engine.audio.local import open_below
from engine.errors import RowError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.wav").write_bytes(b"inside")
    (tmp_path / "secret").write_bytes(b"outside")
    (tmp_path / "rooted").mkdir()
    (tmp_path / "rooted" / "b.wav").write_bytes(b"outside")
    return root


def read(path: Path | str, *roots: Path) -> str:
    """The file's text, or the code of the error."""
    try:
        with open_below(str(path), [str(one) for one in roots]) as file:
            return file.read().decode()
    except RowError as error:
        return "quoted" if str(path) in error.message else error.code


def test_files_below_a_root(root: Path) -> None:
    assert read(root / "a.wav", root) == "inside"
    assert read(f"{root}/sub/../a.wav", root) == "inside"
    assert read(f"{root}//./a.wav", root) == "inside"
    assert read(root / "a.wav", root.parent / "other", root) == "inside"
    assert read(root / "a.wav", root / "a.wav") == "inside"
    assert read(root / "a.wav", Path("/")) == "inside"


def test_files_elsewhere_whether_they_are_there_or_not(root: Path) -> None:
    for path in ("../secret", "../rooted/b.wav", "../missing", "sub/../../secret", "../../../../../../etc/passwd"):
        assert read(f"{root}/{path}", root) == "outside_roots"
    assert read(f"{root}ed/b.wav", root) == "outside_roots"
    assert read(root / "a.wav") == "outside_roots"


def test_links_are_followed_before_they_are_judged(root: Path) -> None:
    (root / "in").symlink_to("a.wav")
    (root / "out").symlink_to("../secret")
    (root / "up").symlink_to("..")
    (root / "loop").symlink_to("loop")
    (root / "nowhere").symlink_to("missing")
    (root.parent / "way").symlink_to(root)
    assert read(root / "in", root) == "inside"
    assert read(root / "out", root) == "outside_roots"
    assert read(root / "up" / "secret", root) == "outside_roots"
    assert read(root / "up" / "root" / "a.wav", root) == "inside"
    assert read(root / "loop", root) == "unreadable"
    assert read(root / "nowhere", root) == "not_found"
    assert read(root / "a.wav", root.parent / "way") == "inside"
    assert read(root.parent / "way" / "a.wav", root) == "inside"


@pytest.mark.timeout(20)
def test_what_is_no_file_does_not_block(root: Path) -> None:
    os.mkfifo(root / "pipe")
    assert read(root / "pipe", root) == "invalid_audio"
    assert read(root / "sub", root) == "invalid_audio"
    assert read(root, root) == "invalid_audio"
    assert read("/dev/zero", Path("/dev")) == "invalid_audio"


def test_names_that_no_file_has(root: Path) -> None:
    assert read(root / "missing", root) == "not_found"
    assert read(root / "a.wav" / "b", root) == "not_found"
    assert read(f"{root}/a\0b", root) == "not_found"
    assert read(f"{root}/{'x' * 300}", root) == "not_found"


@pytest.mark.timeout(20)
def test_a_path_of_megabytes_is_not_followed(root: Path) -> None:
    assert read(f"{root}/" + "sub/../" * 500_000 + "a.wav", root) == "not_found"


def test_files_that_may_not_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*arguments: Any) -> int:
        raise PermissionError(13, "Permission denied", "a path")

    monkeypatch.setattr(local.os, "open", denied)
    assert read(root / "a.wav", root) == "unreadable"


def test_a_link_put_in_place_of_the_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def swap() -> None:
        (root / "a.wav").unlink()
        (root / "a.wav").symlink_to("../secret")

    _before_opening(monkeypatch, swap)
    assert read(root / "a.wav", root) == "unreadable"


def test_a_link_put_in_place_of_a_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "sub" / "secret").write_bytes(b"inside")

    def swap() -> None:
        (root / "sub").rename(root / "old")
        (root / "sub").symlink_to(root.parent)

    _before_opening(monkeypatch, swap)
    assert read(root / "sub" / "secret", root) == "outside_roots"


@pytest.mark.timeout(20)
def test_a_pipe_put_in_place_of_the_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def swap() -> None:
        (root / "a.wav").unlink()
        os.mkfifo(root / "a.wav")

    _before_opening(monkeypatch, swap)
    assert read(root / "a.wav", root) == "invalid_audio"


def _before_opening(monkeypatch: pytest.MonkeyPatch, swap: Any) -> None:
    opening = os.open

    def swapped(*arguments: Any) -> int:
        swap()
        return opening(*arguments)

    monkeypatch.setattr(local.os, "open", swapped)
