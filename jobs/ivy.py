"""Jars of Maven modules, fetched by the Ivy that Spark ships. Runs on the driver."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as Xml

from engine.models import cache
from engine.models.locks import locked
from jobs.errors import RunError


@dataclass(frozen=True)
class Module:
    """One module, as Maven names it."""

    organisation: str
    name: str
    version: str


def fetched(home: Path, modules: Sequence[Module], *, without: Sequence[tuple[str, str]]) -> list[Path]:
    """The jars of modules and of what they depend on, from Maven Central where ``home`` is not there yet.

    Args:
        home: the folder that holds them, made whole or not at all.
        without: what is not wanted, patterns of an organisation and of a name.

    ``$EMBERCAST_MAVEN`` takes the place of Maven Central. Raises RunError where Ivy can't fetch them, or has no Java.
    """
    if not home.exists():
        home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(home.with_name(f"{home.name}.lock")):
            if not home.exists():
                with cache.workspace(home.parent) as scratch:
                    _fetch(scratch, home, modules, without)
    return sorted(home.glob("*.jar"))


def _fetch(scratch: Path, home: Path, modules: Sequence[Module], without: Sequence[tuple[str, str]]) -> None:
    settings, listed = scratch / "settings.xml", scratch / "ivy.xml"
    Xml.ElementTree(_settings(scratch / "ivy")).write(settings, encoding="unicode")
    Xml.ElementTree(_wanted(modules, without)).write(listed, encoding="unicode")
    files = ["-settings", str(settings), "-ivy", str(listed)]
    done = _run([*files, "-types", "jar", "-retrieve", f"{scratch}/jars/[artifact]-[revision].[ext]"])
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-12:])
        wanted = ", ".join(f"{one.name} {one.version}" for one in modules)
        raise RunError(
            f"expected {wanted} from Maven Central, Ivy could not fetch it: check the network, or set EMBERCAST_MAVEN "
            f"to a mirror's address, or put the jars into {home}; there are none for a release that does not fit the "
            f"installed pyspark (docs/support.md says which do)\n{said}"
        )
    (scratch / "jars").rename(home)


def _settings(kept: Path) -> Xml.Element:
    settings = Xml.Element("ivysettings")
    Xml.SubElement(settings, "settings", defaultResolver="central")
    Xml.SubElement(settings, "caches", defaultCacheDir=str(kept))
    mirror = os.environ.get("EMBERCAST_MAVEN")
    root = {"root": mirror} if mirror else {}  # Ivy's own is Maven Central
    Xml.SubElement(
        Xml.SubElement(settings, "resolvers"), "ibiblio", {"name": "central", "m2compatible": "true", **root}
    )
    return settings


def _wanted(modules: Sequence[Module], without: Sequence[tuple[str, str]]) -> Xml.Element:
    document = Xml.Element("ivy-module", version="2.0")
    Xml.SubElement(document, "info", organisation="embercast", module="jars")
    wanted = Xml.SubElement(document, "dependencies")
    for one in modules:
        named = {"org": one.organisation, "name": one.name, "rev": one.version, "conf": "default"}
        Xml.SubElement(wanted, "dependency", named)
    for organisation, name in without:
        Xml.SubElement(wanted, "exclude", org=organisation, module=name, matcher="regexp")
    return document


def _run(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    import pyspark

    java_home = os.environ.get("JAVA_HOME")
    java = str(Path(java_home) / "bin" / "java") if java_home else "java"
    (ivy,) = (Path(pyspark.__file__).parent / "jars").glob("ivy-*.jar")
    try:
        return subprocess.run([java, "-jar", str(ivy), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise RunError(f"expected Java at {java}, there is none: install a JDK 17 or set JAVA_HOME to one") from None
