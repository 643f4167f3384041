"""Delta's jars, fetched once into the cache by the Ivy that Spark ships; sessions name them in ``spark.jars``.

``python -m jobs.jars`` prints them, comma-separated, as ``spark-submit --jars`` takes them. Runs on the driver.
"""

from __future__ import annotations

import os
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Final

from engine.models import cache
from engine.models.locks import locked
from jobs.errors import RunError

#: Everything else that Delta depends on is among Spark's own jars.
_MODULE: Final = """\
<ivy-module version="2.0">
  <info organisation="embercast" module="jars"/>
  <dependencies>
    <dependency org="io.delta" name="{artifact}" rev="{version}" conf="default"/>
    <exclude org="^(?!io\\.delta$|io\\.unitycatalog$).*" matcher="regexp"/>
  </dependencies>
</ivy-module>
"""
#: Ivy's default root for a Maven-like repository is Maven Central. $EMBERCAST_MAVEN takes a mirror's place.
_SETTINGS: Final = """\
<ivysettings>
  <settings defaultResolver="central"/>
  <caches defaultCacheDir="{cache}"/>
  <resolvers><ibiblio name="central" m2compatible="true"{root}/></resolvers>
</ivysettings>
"""


def folder() -> Path:
    """Where the jars of the installed delta-spark and pyspark lie, fetched or not."""
    name = f"delta-{metadata.version('delta-spark')}-spark-{metadata.version('pyspark')}"
    return cache.cache_root() / "jars" / name


def delta_jars() -> list[Path]:
    """Delta's jars for the installed Spark; fetched from Maven Central where they are not in the cache.

    Raises RunError where Ivy can't fetch them or Java is missing.
    """
    home = folder()
    if not home.exists():
        home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(home.with_name(f"{home.name}.lock")):
            if not home.exists():
                _fetch(home)
    return sorted(home.glob("*.jar"))


def artifact_of(*, delta: str, spark: str) -> str:
    """The name of Delta's main jar: from 4.1 on there is one for each Spark that a release fits."""
    return "delta-spark_2.13" if _minor(delta) == "4.0" else f"delta-spark_{_minor(spark)}_2.13"


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _fetch(home: Path) -> None:
    delta, spark = metadata.version("delta-spark"), metadata.version("pyspark")
    artifact = artifact_of(delta=delta, spark=spark)
    with cache.workspace(home.parent) as scratch:
        jars = scratch / "jars"
        mirror = os.environ.get("EMBERCAST_MAVEN")
        settings = _SETTINGS.format(cache=scratch / "ivy", root=f' root="{mirror}"' if mirror else "")
        (scratch / "settings.xml").write_text(settings, encoding="utf-8")
        (scratch / "ivy.xml").write_text(_MODULE.format(artifact=artifact, version=delta), encoding="utf-8")
        _run_ivy(scratch, f"{jars}/[artifact]-[revision].[ext]", f"{artifact} {delta}")
        jars.rename(home)


def _run_ivy(scratch: Path, pattern: str, wanted: str) -> None:
    import pyspark

    java_home = os.environ.get("JAVA_HOME")
    java = str(Path(java_home) / "bin" / "java") if java_home else "java"
    (ivy,) = (Path(pyspark.__file__).parent / "jars").glob("ivy-*.jar")
    files = ["-settings", str(scratch / "settings.xml"), "-ivy", str(scratch / "ivy.xml")]
    command = [java, "-jar", str(ivy), *files, "-types", "jar", "-retrieve", pattern]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise RunError(f"expected Java at {java}, there is none: install a JDK 17 or set JAVA_HOME to one") from None
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-12:])
        raise RunError(
            f"expected {wanted} from Maven Central, Ivy could not fetch it: check the network, or set EMBERCAST_MAVEN "
            f"to a mirror's address, or put the jars into {folder()}; there are none for a delta-spark that does not "
            f"fit the installed pyspark (docs/support.md says which do)\n{said}"
        )


if __name__ == "__main__":
    print(",".join(map(str, delta_jars())))
