"""Files of a source that are gone or damaged, and a disk that is full."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.errors import RunError
from jobs.runner import run
from tests.faults import fault
from tests.spark.job import add, define, ids, rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

BODIES = ["a good day", "they were not there", "now"]


def last_file(folder: Path) -> Path:
    """The data file of a table of one file that was written last."""
    return max((folder / "source").glob("*.parquet"), key=lambda file: file.stat().st_mtime_ns)


@fault(
    "a data file of the source is gone",
    of="the source",
    seen="the run ends and names the file; commits before it stay",
    left="put the file back, or restore the table's version before; run the job again",
)
def test_a_missing_file_is_named_and_its_rows_come_once_it_is_back(
    spark: SparkSession, sentiment: Path, tmp_path: Path
) -> None:
    definition = define(tmp_path, sentiment, compute={"max_files_per_commit": 1})
    add(spark, tmp_path, BODIES)
    run(definition, spark=spark)
    add(spark, tmp_path, BODIES, first=3)
    file = last_file(tmp_path)
    aside = shutil.move(file, tmp_path / "aside")
    with pytest.raises(RunError, match=f"{file.name} of the source is gone: .*Put it back") as caught:
        run(definition, spark=spark)
    assert "What was committed stays; run the job again" in str(caught.value)
    assert ids(spark, tmp_path) == [0, 1, 2]
    shutil.move(aside, file)
    assert run(definition, spark=spark).rows == 3
    assert ids(spark, tmp_path) == list(range(6))


@fault(
    "a data file of the source is damaged",
    of="the source",
    seen="the run ends and names the file; commits before it stay",
    left="write the file again, or restore the table's version before; run the job again",
)
def test_a_damaged_file_is_named_and_its_rows_come_once_it_is_whole(
    spark: SparkSession, sentiment: Path, tmp_path: Path
) -> None:
    definition = define(tmp_path, sentiment, compute={"max_files_per_commit": 1})
    add(spark, tmp_path, BODIES)
    run(definition, spark=spark)
    add(spark, tmp_path, BODIES, first=3)
    file = last_file(tmp_path)
    whole = file.read_bytes()
    (file.parent / f".{file.name}.crc").unlink()
    file.write_bytes(whole[: len(whole) // 2] + b"\0" * (len(whole) - len(whole) // 2))
    with pytest.raises(RunError, match=f"{file.name} of the source can't be read, it is damaged") as caught:
        run(definition, spark=spark)
    assert not [body for body in BODIES if body in str(caught.value)]
    assert ids(spark, tmp_path) == [0, 1, 2]
    file.write_bytes(whole)
    assert run(definition, spark=spark).rows == 3
    assert ids(spark, tmp_path) == list(range(6))


@fault(
    "a parquet file of a source of files is damaged",
    of="the source",
    seen="the run ends and names the file",
    left="write the file again; run the job again",
)
def test_a_damaged_parquet_file_is_named(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    kind = {"format": "parquet", "schema": "id INT, product STRING, body STRING"}
    definition = define(tmp_path, sentiment, source=kind)
    rows(spark, BODIES).write.parquet(f"{tmp_path}/source")
    file = last_file(tmp_path)
    whole = file.read_bytes()
    file.with_name(f".{file.name}.crc").unlink()
    file.write_bytes(b"no parquet at all")
    with pytest.raises(RunError, match=f"{file.name} of the source can't be read, it is damaged"):
        run(definition, spark=spark)
    assert ids(spark, tmp_path) == []
    file.write_bytes(whole)
    assert run(definition, spark=spark).rows == 3
    assert ids(spark, tmp_path) == [0, 1, 2]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 400 kB, which takes a superuser to mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can't be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@fault(
    "the disk of the sink is full",
    of="storage",
    seen="the run ends: a disk is full, and which folders count; the sink has whole commits only",
    left="free room; run the job again",
)
def test_a_full_disk_loses_and_doubles_nothing(
    spark: SparkSession, sentiment: Path, tmp_path: Path, small_disk: Path
) -> None:
    definition = define(tmp_path, sentiment, sink={"path": f"{small_disk}/sink"}, compute={"max_files_per_commit": 1})

    def there() -> list[int]:
        found = spark.read.format("delta").load(f"{small_disk}/sink").orderBy("id").collect()
        return [row["id"] for row in found]

    add(spark, tmp_path, BODIES)
    run(definition, spark=spark)
    add(spark, tmp_path, BODIES, first=3)
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space left"):
        ballast.write_bytes(b"\0" * (1 << 20))
    with pytest.raises(RunError, match=r"a disk is full\. Free room where the sink lies"):
        run(definition, spark=spark)
    ballast.unlink()
    assert there() == [0, 1, 2]
    assert run(definition, spark=spark).rows == 3
    assert there() == list(range(6))
