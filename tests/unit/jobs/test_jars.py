from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from jobs import ivy, jars
from jobs.errors import RunError


def test_jars_in_the_cache_are_not_fetched_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EMBERCAST_CACHE", str(tmp_path))
    monkeypatch.setattr(ivy, "_fetch", lambda *_: pytest.fail("fetched"))
    versions = f"delta-{metadata.version('delta-spark')}-spark-{metadata.version('pyspark')}"
    (tmp_path / "jars" / versions).mkdir(parents=True)
    (tmp_path / "jars" / versions / "one.jar").touch()
    assert jars.delta_jars() == [tmp_path / "jars" / versions / "one.jar"]


def test_missing_java_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EMBERCAST_CACHE", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(RunError, match=r"expected Java at .*install a JDK 17"):
        jars.delta_jars()
    assert not jars.folder().exists()
    assert not [path for path in (tmp_path / "jars").iterdir() if path.is_dir()]


def test_failed_fetch_says_what_to_do_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EMBERCAST_CACHE", str(tmp_path))
    monkeypatch.setenv("EMBERCAST_MAVEN", (tmp_path / "nothing").as_uri() + "/")
    with pytest.raises(RunError, match="from Maven Central, Ivy could not fetch it: check the network"):
        jars.delta_jars()
    assert not jars.folder().exists()


def test_the_jars_of_s3_are_those_of_sparks_hadoop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EMBERCAST_CACHE", str(tmp_path))
    monkeypatch.setattr(ivy, "_fetch", lambda *_: pytest.fail("fetched"))
    delta, s3 = jars.folder(), tmp_path / "jars" / f"s3-hadoop-{jars.hadoop_version()}"
    for folder in (delta, s3):
        folder.mkdir(parents=True)
        (folder / "one.jar").touch()
    assert jars.wanted() == [delta / "one.jar"]
    monkeypatch.setenv("EMBERCAST_JARS", "s3")
    assert jars.wanted() == [delta / "one.jar", s3 / "one.jar"]


def test_what_can_not_be_fetched_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBERCAST_JARS", "gs")
    with pytest.raises(RunError, match="expected s3 or nothing in EMBERCAST_JARS, got gs"):
        jars.wanted()
    monkeypatch.setattr(jars, "hadoop_version", lambda: "9.9.9")
    with pytest.raises(RunError, match=r"a Hadoop of 3\.4\.1, 3\.4\.2, 3\.5\.0 in the installed pyspark, got 9\.9\.9"):
        jars.s3_jars()


@pytest.mark.parametrize(
    ("delta", "spark", "name"),
    [
        ("4.0.0", "4.0.0", "delta-spark_2.13"),
        ("4.1.0", "4.0.5", "delta-spark_4.0_2.13"),
        ("4.4.0", "4.1.4", "delta-spark_4.1_2.13"),
        ("4.4.0", "4.2.0", "delta-spark_4.2_2.13"),
    ],
)
def test_deltas_jar_is_the_one_for_the_installed_spark(delta: str, spark: str, name: str) -> None:
    assert jars.artifact_of(delta=delta, spark=spark) == name
