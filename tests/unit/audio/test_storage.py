"""Recordings in an object store, read from a server that speaks as S3 does."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from engine.audio.cells import recordings as cells
from engine.audio.limits import Limits
from engine.audio.recording import Recording
from engine.audio.storage import Bucket, Storage
from engine.errors import RowError
from engine.tasks.audio import AudioParams
from tests import recordings, s3
from tests.recordings import RATE, noise

LIMITS = Limits(600, 1 << 30, 1 << 30)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3.server() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def storage(endpoint: str) -> Storage:
    buckets = s3.client(endpoint)
    for bucket in ("calls", "other"):
        buckets.create_bucket(Bucket=bucket)
    for key, data in {
        "2026/a.wav": recordings.wav(noise(30)),
        "2026/b c.flac": recordings.flac(noise(3)),
        "2026/d": recordings.m4a(noise(3)),
        "2025/a.wav": recordings.wav(noise(1)),
    }.items():
        buckets.put_object(Bucket="calls", Key=key, Body=data)
    buckets.put_object(Bucket="other", Key="2026/a.wav", Body=recordings.wav(noise(1)))
    keys = {"access_key": "testing", "secret_key": "testing", "region": "us-east-1"}
    return Storage((Bucket(name="calls", endpoint=endpoint, path_style=True, **keys),))


def heard(path: str, storage: Storage, *roots: str) -> Any:
    """Seconds of a recording, or the code of its error."""
    [one] = cells(pa.array([path]), None, AudioParams(roots=roots), storage)
    try:
        assert isinstance(one, Recording)
        with one.open(RATE, None, LIMITS) as stream:
            stream.read(600 * RATE)
            return round(stream.seconds, 1)
    except RowError as error:
        return "quoted" if path in error.message else error.code


@pytest.mark.parametrize("scheme", ["s3", "s3a", "s3n"])
def test_files_of_a_bucket_are_heard(storage: Storage, scheme: str) -> None:
    root = f"{scheme}://calls/2026"
    assert heard(f"{scheme}://calls/2026/a.wav", storage, root) == 30
    assert heard(f"{scheme}://calls/2026/b%20c.flac", storage, root) == 3
    assert heard(f"{scheme}://calls/2026/b c.flac", storage, root) == 3
    assert heard(f"{scheme}://calls/2026/d", storage, root) == pytest.approx(3, abs=0.2)
    assert heard("a.wav", storage, root) == 30


def test_keys_elsewhere_are_not(storage: Storage) -> None:
    for path in ("s3a://calls/2025/a.wav", "s3a://calls/2026/../2025/a.wav", "s3a://other/2026/a.wav", "/2026/a.wav"):
        assert heard(path, storage, "s3a://calls/2026") == "outside_roots"
    assert heard("s3a://calls/2026/missing.wav", storage, "s3a://calls/2026") == "not_found"
    assert heard("s3a://calls/2026", storage, "s3a://calls/2026") in ("not_found", "unreadable")


def test_a_row_does_not_name_the_server(storage: Storage, endpoint: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        for path in (
            f"s3://calls/2026/a.wav?endpoint_override=127.0.0.1:{port}&scheme=http",
            f"s3://127.0.0.1:{port}/calls/2026/a.wav",
        ):
            assert heard(path, storage, "s3://calls/2026") in ("not_found", "outside_roots")
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_server_that_is_not_there_may_be_there_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    keys = {"access_key": "x", "secret_key": "y", "region": "us-east-1"}
    gone = Storage((Bucket(name="calls", endpoint=f"http://127.0.0.1:{port}", path_style=True, **keys),))
    assert heard("s3a://calls/2026/a.wav", gone, "s3a://calls") == "unreadable"


def test_keys_do_not_show() -> None:
    storage = Storage((Bucket(name="calls", access_key="AKIA", secret_key="hidden", session_token="passing"),))
    for word in ("AKIA", "hidden", "passing"):
        assert word not in repr(storage)
    assert pickle.loads(pickle.dumps(storage)) == storage


def test_other_stores_are_pyarrows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The root alone is handed to pyarrow; a row's segments are joined to what it gives."""
    import pyarrow.fs

    asked = []

    class Files:
        @staticmethod
        def from_uri(uri: str) -> tuple[Any, str]:
            asked.append(uri)
            return pyarrow.fs.LocalFileSystem(), f"{tmp_path}/in"

    (tmp_path / "in" / "x").mkdir(parents=True)
    (tmp_path / "in" / "x" / "a b.wav").write_bytes(recordings.wav(noise(2)))
    monkeypatch.setattr(pyarrow.fs, "FileSystem", Files)
    root = "abfss://box@account.dfs.core.windows.net/to hear"
    assert heard(f"{root}/x/a%20b.wav", Storage(), root) == 2
    assert heard(f"{root}/x/c.wav", Storage(), root) == "not_found"
    assert asked == ["abfss://box@account.dfs.core.windows.net/to%20hear"]
