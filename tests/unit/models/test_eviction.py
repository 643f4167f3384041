"""A cache with a limit: what was used longest ago goes first, and nothing that a process uses."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import ModelError
from engine.models import cache, eviction
from engine.models.manifest import FILE, Manifest, file_digests, sha256
from tests.faults import fault
from tests.unit.models.test_cache import fill

BIG = 3 << 20


def made(root: Path, weights: bytes, *, used: float, more: str = "") -> Path:
    """A bundle that was last used at a time, by a process that is dead; ``more`` is in a file of its own."""
    sample = Path(tempfile.mkdtemp(dir=root.parent))
    digest = write(sample, weights, more)
    process = multiprocessing.get_context("fork").Process(target=_ensure, args=(root, digest, weights, more))
    process.start()
    process.join()
    assert process.exitcode == 0
    os.utime(root / "bundles" / f"{digest}.held", (used, used))
    return root / "bundles" / digest


def write(folder: Path, weights: bytes, more: str) -> str:
    fill(folder, weights)
    (folder / "more.txt").write_text(more)
    manifest = replace(Manifest.read(folder), files=file_digests(folder))
    (folder / FILE).write_text(manifest.to_json())
    return manifest.digest


def _write(folder: Path, weights: bytes, more: str) -> None:
    write(folder, weights, more)


def _ensure(root: Path, digest: str, weights: bytes, more: str) -> None:
    cache.ensure(digest, lambda folder: _write(folder, weights, more), root=root)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("EMBERCAST_CACHE", str(home))
    monkeypatch.setenv("EMBERCAST_CACHE_GB", "1")
    return home


def test_the_bundle_used_longest_ago_goes_first(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = made(root, b"1" * BIG, used=200), made(root, b"2" * BIG, used=100)
    monkeypatch.setenv("EMBERCAST_CACHE_GB", "0.008")  # room for two of three megabytes
    three = made(root, b"3" * BIG, used=300)
    assert (one.exists(), two.exists(), three.exists()) == (True, False, True)
    assert sorted(path.name for path in (root / "bundles" / "files").iterdir() if path.name != ".lock") == sorted(
        sha256(folder / "model.safetensors") for folder in (one, three)
    )


def test_what_a_process_holds_stays(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = made(root, b"1" * BIG, used=100)
    eviction.hold(one)
    two = made(root, b"2" * BIG, used=200)
    monkeypatch.setenv("EMBERCAST_CACHE_GB", "0.001")
    three = made(root, b"3" * BIG, used=300)
    assert (one.exists(), two.exists(), three.exists()) == (True, False, True)  # the third's process held it


@fault(
    "a bundle was evicted from the full cache",
    of="storage",
    seen="nothing: it is made again",
    left="nothing",
)
def test_what_went_is_made_again(root: Path) -> None:
    one = made(root, b"1" * BIG, used=100)
    eviction.make_room(root / "bundles", 0)
    assert not one.exists()
    assert made(root, b"1" * BIG, used=100) == one
    assert (one / "model.safetensors").read_bytes() == b"1" * BIG


def test_a_file_that_two_bundles_share_counts_once(root: Path) -> None:
    one = made(root, b"1" * BIG, used=100)
    other = made(root, b"1" * BIG, used=200, more="another")
    taken = sum(path.stat().st_size for path in other.rglob("*") if path.is_file())
    eviction.make_room(root / "bundles", int(taken * 1.5))
    assert (one.exists(), other.exists()) == (True, True)
    eviction.make_room(root / "bundles", taken)
    assert (one.exists(), other.exists()) == (False, True)
    assert (other / "model.safetensors").stat().st_nlink == 2  # its own name and that of the shared files


def test_a_limit_that_is_no_number_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBERCAST_CACHE_GB", "plenty")
    with pytest.raises(ModelError, match="expected EMBERCAST_CACHE_GB to be a number of gigabytes, got 'plenty'"):
        eviction.limit(root)


def test_a_cache_that_was_cleared_is_held_anew(root: Path) -> None:
    one = made(root, b"1" * BIG, used=100)
    eviction.hold(one)
    shutil.rmtree(root / "bundles")
    eviction.hold(one)
    assert made(root, b"1" * BIG, used=100) == one
    eviction.make_room(root / "bundles", 0)
    assert one.exists()


def test_what_a_dead_process_was_removing_goes(root: Path) -> None:
    one = made(root, b"1" * BIG, used=100)
    abandoned = root / "bundles" / ".gone-died" / one.name
    abandoned.parent.mkdir()
    one.rename(abandoned)
    eviction.make_room(root / "bundles", 1 << 40)
    assert not abandoned.parent.exists()


def test_nothing_is_locked_in_a_folder_that_hosts_share(root: Path, tmp_path: Path) -> None:
    shared, sample = tmp_path / "shared", tmp_path / "sample"
    shared.mkdir()
    sample.mkdir()
    digest = fill(sample, b"1" * BIG).digest
    cache.ensure(digest, lambda folder: fill(folder, b"1" * BIG), root=shared)
    assert not list((shared / "bundles").glob("*.held"))
