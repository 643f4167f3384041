"""Where a path or URI may lie: by its text alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.audio.roots import absolute, roots_of
from engine.errors import RowError


def place(text: str, *roots: str) -> str:
    """What is opened below which root, or the code of the error."""
    try:
        found = roots_of(roots).place(text)
    except RowError as error:
        return error.code
    return f"{found.root.uri} {found.below}"


@pytest.mark.parametrize(
    ("text", "below"),
    [
        ("s3a://calls/2026/a.wav", "a.wav"),
        ("s3://calls/2026/a.wav", "a.wav"),
        ("S3N://calls/2026/x/y.wav", "x/y.wav"),
        ("s3a://calls/2026/a%20b.wav", "a b.wav"),
        ("s3a://calls/2026/a?b#c.wav", "a?b#c.wav"),
        ("s3a://calls/2026//x/./y.wav", "x/y.wav"),
        ("s3a://calls/2026/x/../y.wav", "y.wav"),
        ("s3a://calls/2025/../2026/y.wav", "y.wav"),
        ("x/y.wav", "x/y.wav"),
        ("s3a://calls/2026", ""),
    ],
)
def test_uris_below_a_root(text: str, below: str) -> None:
    assert place(text, "s3a://calls/2026/") == f"s3://calls/2026 {below}"


@pytest.mark.parametrize(
    "text",
    [
        "s3a://calls/2025/a.wav",
        "s3a://calls/20260/a.wav",
        "s3a://calls/2026/../2025/a.wav",
        "s3a://calls/2026/%2e%2e/2025/a.wav",
        "s3a://calls/2026/..%2f2025/a.wav",
        "s3a://calls/2026/x/../../2025/a.wav",
        "s3a://other/2026/a.wav",
        "s3a://user:word@calls/2026/a.wav",
        "s3a://CALLS/2026/a.wav",
        "gs://calls/2026/a.wav",
        "https://calls/2026/a.wav",
        "file:///calls/2026/a.wav",
        "/calls/2026/a.wav",
        "../2025/a.wav",
        "",
    ],
)
def test_uris_elsewhere(text: str) -> None:
    assert place(text, "s3a://calls/2026") == "outside_roots"


def test_a_whole_bucket_may_be_a_root() -> None:
    assert place("s3a://calls/a.wav", "s3a://calls") == "s3://calls/ a.wav"
    assert place("s3a://calls/../../a.wav", "s3a://calls/") == "s3://calls/ a.wav"


def test_several_roots() -> None:
    roots = ("/data", "s3a://calls/2026", "gs://calls", "abfss://box@account.dfs.core.windows.net/in")
    assert place("gs://calls/a.wav", *roots) == "gs://calls/ a.wav"
    assert place("abfss://box@account.dfs.core.windows.net/in/a.wav", *roots).endswith("/in a.wav")
    assert place("abfss://other@account.dfs.core.windows.net/in/a.wav", *roots) == "outside_roots"
    assert place("/anywhere/a.wav", *roots) == "file:///data /anywhere/a.wav"  # links are followed before it is judged
    assert place("a.wav", *roots) == "outside_roots"  # of which root?


@pytest.mark.parametrize("text", ["file:///data/a%20b.wav", "file:/data/a b.wav", "file://localhost/data/a b.wav"])
def test_file_uris(text: str) -> None:
    assert place(text, "file:/data") == "file:///data /data/a b.wav"


def test_file_uris_of_another_host() -> None:
    assert place("file://host/data/a.wav", "/data") == "outside_roots"


def test_percent_signs_of_plain_paths_are_their_own() -> None:
    assert place("/data/a%20b.wav", "/data").endswith(" /data/a%20b.wav")


def test_relative_folders_are_the_drivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    roots = (".demo/calls", "../x", "/data/../y", "file:/data", "s3a://calls/2026")
    assert absolute(roots) == (f"{tmp_path}/.demo/calls", f"{tmp_path.parent}/x", *roots[2:])


def test_no_roots_read_nothing() -> None:
    with pytest.raises(RowError) as caught:
        roots_of(()).place("/data/a.wav")
    assert caught.value.code == "outside_roots"
    assert caught.value.message == "no path may be read: name the folders that may be in roots"


@pytest.mark.timeout(20)
def test_a_uri_of_megabytes_takes_no_longer_than_its_length() -> None:
    assert place("s3a://calls/2026/" + "x/" * 500_000 + "../" * 500_000 + "a.wav", "s3a://calls/2026").endswith(
        " a.wav"
    )
