"""The jars that a session has beside Spark's own, fetched once into the cache: Delta's, and a store's where asked for.

``python -m jobs.jars`` prints them, comma-separated, as ``spark-submit --jars`` takes them. ``$EMBERCAST_JARS`` names
the store: s3. Runs on the driver.
"""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path
from typing import Final

from engine.models import cache
from jobs.errors import RunError
from jobs.ivy import Module, fetched

#: The Hadoop that a Spark is built with → the AWS SDK that its S3 filesystem is (dependencies of hadoop-aws; of 2.24.6,
#: which 3.4.1 asks for, Maven Central does not have all parts).
_SDKS: Final = {"3.4.1": "2.24.9", "3.4.2": "2.29.52", "3.5.0": "2.35.4"}
#: What of the SDK the filesystem calls. hadoop-aws itself asks for all of AWS in one jar of 600 MB.
_PARTS: Final = ("s3", "s3-transfer-manager", "sts", "apache-client", "netty-nio-client")


def wanted() -> list[Path]:
    """Delta's jars, and those of the store that ``$EMBERCAST_JARS`` names.

    Raises RunError for a store that is not known, and where jars can't be fetched.
    """
    asked = os.environ.get("EMBERCAST_JARS", "").strip()
    if asked not in ("", "s3"):
        raise RunError(
            f"expected s3 or nothing in EMBERCAST_JARS, got {asked}: the jars of other stores go into spark.jars"
        )
    return [*delta_jars(), *(s3_jars() if asked else [])]


def folder() -> Path:
    """Where the jars of the installed delta-spark and pyspark lie, fetched or not."""
    return _home(f"delta-{metadata.version('delta-spark')}-spark-{metadata.version('pyspark')}")


def delta_jars() -> list[Path]:
    """Delta's jars for the installed Spark; fetched from Maven Central where they are not in the cache.

    Raises RunError where Ivy can't fetch them or Java is missing.
    """
    delta, spark = metadata.version("delta-spark"), metadata.version("pyspark")
    # Everything else that Delta depends on is among Spark's own jars.
    others = (r"(?!io\.delta$|io\.unitycatalog$).*", ".*")
    return fetched(folder(), [Module("io.delta", artifact_of(delta=delta, spark=spark), delta)], without=[others])


def artifact_of(*, delta: str, spark: str) -> str:
    """The name of Delta's main jar: from 4.1 on there is one for each Spark that a release fits."""
    return "delta-spark_2.13" if _minor(delta) == "4.0" else f"delta-spark_{_minor(spark)}_2.13"


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def s3_jars() -> list[Path]:
    """The jars of ``s3a://`` for the Hadoop of the installed Spark, 13 MB; fetched where they are not in the cache.

    Raises RunError where Ivy can't fetch them, Java is missing, or the Hadoop is not known.
    """
    hadoop = hadoop_version()
    if hadoop not in _SDKS:
        raise RunError(
            f"expected a Hadoop of {', '.join(_SDKS)} in the installed pyspark, got {hadoop}: put hadoop-aws {hadoop} "
            f"and what it depends on into {_home(f's3-hadoop-{hadoop}')}"
        )
    modules = [Module("org.apache.hadoop", "hadoop-aws", hadoop)]
    modules += [Module("software.amazon.awssdk", part, _SDKS[hadoop]) for part in _PARTS]
    own = r"org\.apache\.httpcomponents|commons-.*|io\.netty|org\.slf4j"  # among Spark's own jars
    without = [(own, ".*"), (r"software\.amazon\.awssdk", "bundle")]
    return fetched(_home(f"s3-hadoop-{hadoop}"), modules, without=without)


def hadoop_version() -> str:
    """The version of the Hadoop client among Spark's own jars."""
    import pyspark

    (jar,) = (Path(pyspark.__file__).parent / "jars").glob("hadoop-client-api-*.jar")
    return jar.stem.removeprefix("hadoop-client-api-")


def _home(name: str) -> Path:
    return cache.cache_root() / "jars" / name


if __name__ == "__main__":
    print(",".join(map(str, wanted())))
