"""One copy a host: written once, verified, made again when damaged, and nothing left of writers that died."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import stat
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from engine.errors import DamagedBundleError, ModelError
from engine.models import cache
from engine.models.manifest import FILE, Manifest, file_digests
from tests.faults import fault

WEIGHTS = b"weights" * 1000


def fill(folder: Path, weights: bytes = WEIGHTS) -> Manifest:
    """Writes a bundle of two files and its manifest."""
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    facts: dict[str, Any] = {"task": "embeddings", "dtype": "float32", "pooling": "mean", "normalize": False}
    sizes: dict[str, Any] = {"parameters": 1, "hidden": 1, "weight_bytes": len(weights), "max_length": None}
    manifest = Manifest(**facts, **sizes, special_tokens=2, tied={}, made_with={}, files=file_digests(folder))
    (folder / FILE).write_text(manifest.to_json())
    return manifest


@pytest.fixture
def digest(tmp_path: Path) -> str:
    (tmp_path / "sample").mkdir()
    return fill(tmp_path / "sample").digest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    made.mkdir()
    return made


class Writer:
    """Fills a folder and counts how often it was asked to."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        fill(folder)


def refuse(folder: Path) -> None:
    raise AssertionError("the bundle was there")


def test_a_bundle_is_written_once_and_found_again(root: Path, digest: str) -> None:
    write = Writer()
    found = cache.ensure(digest, write, root=root)
    assert found == root / "bundles" / digest
    assert (found / "model.safetensors").read_bytes() == WEIGHTS
    assert cache.ensure(digest, write, root=root) == found
    assert write.calls == 1
    assert cache.is_whole(found)


@fault(
    "a bundle of weights in the cache is damaged",
    of="storage",
    seen="a warning; it is made again",
    left="nothing",
)
@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "model.safetensors").write_bytes(WEIGHTS[:-1]),
        lambda folder: (folder / "model.safetensors").write_bytes(b"x" + WEIGHTS[1:]),
        lambda folder: (folder / "tokenizer" / "tokenizer.json").unlink(),
        lambda folder: (folder / FILE).unlink(),
        lambda folder: (folder / FILE).write_text("{"),
        lambda folder: (folder / FILE).write_text((folder / FILE).read_text().replace("mean", "last")),
    ],
    ids=["cut", "changed", "a file missing", "no manifest", "half a manifest", "another manifest"],
)
def test_a_damaged_bundle_is_made_again(root: Path, digest: str, damage: Callable[[Path], object]) -> None:
    folder = cache.ensure(digest, fill, root=root)
    damage(folder)
    assert not cache.is_whole(folder)
    write = Writer()
    assert cache.ensure(digest, write, root=root) == folder
    assert write.calls == 1
    cache.verify(folder, digest)


def test_a_bundle_copied_by_hand_is_verified_by_its_bytes(root: Path, digest: str) -> None:
    """New times and inodes, the same bytes: read once, then known again."""
    folder = cache.ensure(digest, fill, root=root)
    os.utime(folder / "model.safetensors", (0, 0))
    assert cache.ensure(digest, refuse, root=root) == folder
    (root / "bundles" / f"{digest}.verified").unlink()
    assert cache.ensure(digest, refuse, root=root) == folder


def test_bundles_share_their_large_files(root: Path, digest: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(cache, "SHARED_BYTES", len(WEIGHTS))
    (tmp_path / "other").mkdir()

    def other(folder: Path) -> Manifest:
        manifest = fill(folder)
        (folder / "more.json").write_text("{}")
        made = replace(manifest, files=file_digests(folder))
        (folder / FILE).write_text(made.to_json())
        return made

    other_digest = other(tmp_path / "other").digest
    one, two = cache.ensure(digest, fill, root=root), cache.ensure(other_digest, other, root=root)
    assert one != two
    assert (one / "model.safetensors").samefile(two / "model.safetensors")
    assert not (one / "tokenizer" / "tokenizer.json").samefile(two / "tokenizer" / "tokenizer.json")
    os.truncate(one / "model.safetensors", 10)  # damage to one is damage to both
    assert not cache.is_whole(one)
    assert not cache.is_whole(two)
    for folder, write in ((one, fill), (two, other)):
        cache.verify(cache.ensure(folder.name, write, root=root), folder.name)
    assert (one / "model.safetensors").samefile(two / "model.safetensors")
    for folder in (one, two):
        shutil.rmtree(folder)
    monkeypatch.setattr(cache, "SHARED_BYTES", len(WEIGHTS) + 1)
    cache.ensure(digest, fill, root=root)
    assert [path.name for path in (root / "bundles" / "files").iterdir()] == [".lock"]  # nobody has it any more


def test_a_disk_without_links_keeps_a_file_a_bundle(root: Path, digest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise OSError("operation not permitted")

    monkeypatch.setattr(cache, "SHARED_BYTES", len(WEIGHTS))
    monkeypatch.setattr(os, "link", link)
    cache.verify(cache.ensure(digest, fill, root=root), digest)


def test_what_does_not_have_the_digest_is_not_kept(root: Path, digest: str) -> None:
    with pytest.raises(DamagedBundleError, match=f"expected the bundle {digest[:12]} in .*, it is "):
        cache.ensure(digest, lambda folder: fill(folder, b"others") and None, root=root)
    assert not (root / "bundles" / digest).exists()
    assert list((root / "bundles").glob(".writing-*")) == []


def test_a_writer_that_fails_leaves_nothing(root: Path, digest: str) -> None:
    def write(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        cache.ensure(digest, write, root=root)
    assert [path.name for path in (root / "bundles").iterdir()] == [f"{digest}.lock"]


def _write_and_tell(root: Path, digest: str, told: Path, ready: Any) -> None:
    def write(folder: Path) -> None:
        with told.open("a") as file:
            file.write(f"{os.getpid()}\n")
        fill(folder)

    ready.wait()
    cache.verify(cache.ensure(digest, write, root=root), digest)


def _write_and_die(root: Path, digest: str) -> None:
    def write(folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(WEIGHTS[:10])
        os.kill(os.getpid(), signal.SIGKILL)

    cache.ensure(digest, write, root=root)


def _work_and_die(root: Path) -> None:
    with cache.workspace(root) as folder:
        (folder / "model.safetensors").touch()
        os.kill(os.getpid(), signal.SIGKILL)


def start(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
    process.start()
    return process


def end(process: BaseProcess) -> int | None:
    process.join(120)
    return process.exitcode


def test_of_many_processes_at_once_one_writes(root: Path, digest: str, tmp_path: Path) -> None:
    ready = multiprocessing.get_context("spawn").Barrier(4)
    processes = [start(_write_and_tell, root, digest, tmp_path / "told", ready) for _ in range(4)]
    assert [end(process) for process in processes] == [0, 0, 0, 0]
    assert len((tmp_path / "told").read_text().split()) == 1


@fault(
    "a process is killed while it writes a bundle into the cache",
    of="storage",
    seen="nothing: the next one writes it anew",
    left="nothing",
)
def test_a_writer_that_was_killed_is_cleaned_up_after(root: Path, digest: str) -> None:
    assert end(start(_write_and_die, root, digest)) == -signal.SIGKILL
    assert len(list((root / "bundles").glob(".writing-*"))) == 1
    assert not cache.is_whole(root / "bundles" / digest)
    cache.verify(cache.ensure(digest, fill, root=root), digest)
    assert list((root / "bundles").glob(".writing-*")) == []


def test_a_workspace_is_removed_at_the_end_and_after_a_death(root: Path) -> None:
    assert end(start(_work_and_die, root)) == -signal.SIGKILL
    [abandoned] = [path for path in root.glob(".making-*") if path.is_dir()]
    with cache.workspace(root) as one, cache.workspace(root) as other:
        assert not abandoned.exists()
        assert one.is_dir()  # its process lives: another's start leaves it alone
        assert other != one
    assert list(root.glob(".making-*")) == []


def test_only_its_user_may_look_into_the_cache(tmp_path: Path, digest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBERCAST_CACHE", str(tmp_path / "own"))
    previous = os.umask(0)
    try:
        folder = cache.ensure(digest, fill)
    finally:
        os.umask(previous)
    for path in (tmp_path / "own", tmp_path / "own" / "bundles", folder):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777, 0o702])
def test_a_cache_that_others_may_write_into_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(mode)
    monkeypatch.setenv("EMBERCAST_CACHE", str(tmp_path / "open"))
    with pytest.raises(ModelError, match=r"expected the cache folder .* its user's alone.* chmod 700 it, or point EMB"):
        cache.cache_root()
    monkeypatch.setenv("EMBERCAST_CACHE", str(tmp_path / "open" / "own"))  # as below /tmp
    assert cache.cache_root() == tmp_path / "open" / "own"


@pytest.mark.parametrize("link", [False, True])
def test_another_users_cache_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: bool) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    place = tmp_path / "folder"
    if link:
        place = tmp_path / "link"
        place.symlink_to(tmp_path / "folder")
    monkeypatch.setenv("EMBERCAST_CACHE", str(place))
    assert cache.cache_root() == place
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(ModelError, match=f"to belong to the user {owner + 1}, it is of {owner}: point EMBERCAST_CACHE"):
        cache.cache_root()


def test_the_cache_lies_in_the_home_unless_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMBERCAST_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_root() == tmp_path / ".cache" / "embercast"


def test_a_small_file_is_replaced_whole(tmp_path: Path) -> None:
    cache.write_atomically(tmp_path / "x", "one")
    cache.write_atomically(tmp_path / "x", "two")
    assert (tmp_path / "x").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
