"""How weights are to travel, and what the driver holds of them meanwhile, without a JVM."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.device import Choice
from engine.models.cache import verify
from tests.unit.models.test_cache import fill
from udfs import broadcast
from udfs.weights import BROADCAST, HERE, SETTING, choose_way

LARGE = (2 << 30) + 1


def session(master: str = "spark://master:7077", **settings: str) -> Any:
    conf = {name.replace("__", "."): value for name, value in settings.items()}
    return SimpleNamespace(sparkContext=SimpleNamespace(master=master), conf=SimpleNamespace(get=conf.get))


@pytest.mark.parametrize(
    ("spark", "nbytes", "asked", "way"),
    [
        (session("local[4]"), LARGE, None, Choice(HERE, "workers share the driver's disk")),
        (session("local[4]"), 10, "/mnt/w", Choice("/mnt/w", "asked for")),
        (session(), 10, None, Choice(BROADCAST, "at most 2 GiB")),
        (session("local-cluster[2,1,512]"), LARGE - 1, None, Choice(BROADCAST, "at most 2 GiB")),
        (session(), 10, "s3a://b/w", Choice("s3a://b/w", "asked for")),
        (session(**{SETTING: "s3a://b/all"}), 10, None, Choice(BROADCAST, "at most 2 GiB")),
        (session(**{SETTING: "s3a://b/all"}), LARGE, None, Choice("s3a://b/all", "more than 2 GiB")),
        (session(**{SETTING: "s3a://b/all"}), LARGE, "/mnt/w", Choice("/mnt/w", "asked for")),
        (
            session(),
            LARGE,
            None,
            Choice(BROADCAST, f"more than 2 GiB, but {SETTING} names no path that all hosts see"),
        ),
    ],
)
def test_the_definition_or_the_size_chooses(spark: Any, nbytes: int, asked: str | None, way: Choice[str]) -> None:
    assert choose_way(spark, nbytes, weights_path=asked) == way


class Context:
    """A SparkContext that keeps what is broadcast on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.sent = folder, 0

    def broadcast(self, value: Any) -> Any:
        self.sent += 1
        path = self.folder / str(self.sent)
        path.write_bytes(value)
        return SimpleNamespace(_path=str(path), load_from_path=lambda path: Path(path).read_bytes())


@pytest.fixture
def bundle(tmp_path: Path) -> Any:
    folder = tmp_path / "bundle"
    folder.mkdir()
    manifest = fill(folder)
    return SimpleNamespace(path=folder, manifest=manifest, digest=manifest.digest)


def test_the_driver_holds_a_shard_and_no_more(bundle: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "SHARD_BYTES", 1 << 20)
    with (bundle.path / "model.safetensors").open("r+b") as file:
        file.truncate(40 << 20)  # the manifest is not asked for sizes
    context = Context(tmp_path)
    tracemalloc.start()
    try:
        broadcast.broadcast(context, bundle)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert context.sent == 41
    assert most < 1.5 * (1 << 20)


def test_what_is_broadcast_is_broadcast_once_a_session(bundle: Any, tmp_path: Path) -> None:
    context = Context(tmp_path)
    first = broadcast.broadcast(context, bundle)
    assert broadcast.broadcast(context, bundle) is first
    assert context.sent == 1
    assert broadcast.broadcast(context, bundle, root=tmp_path) is not first
    del first
    broadcast.broadcast(context, bundle)  # nobody scores with the first any more
    assert context.sent == 3


def test_what_spark_encrypts_has_no_file(bundle: Any, tmp_path: Path) -> None:
    sent = broadcast.broadcast(Context(tmp_path), bundle, root=tmp_path / "host")
    shards = tuple(SimpleNamespace(value=Path(one._path).read_bytes()) for one in sent.shards)
    (tmp_path / "host").mkdir()
    folder = broadcast.BroadcastWeights(sent.digest, sent.files, shards, sent.root).folder()
    verify(folder, bundle.digest)
