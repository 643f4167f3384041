"""Which models may be scored: an operator's file of sources and licences, named by $EMBERCAST_POLICY.

Read where a model is located, before a byte of it is fetched; its files are looked at before anything of it is loaded.
Runs on the driver.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from engine.errors import ForbiddenModelError, ParameterError
from engine.models import flavor, licence

#: Names the file. Unset, every model may be scored.
VARIABLE: Final = "EMBERCAST_POLICY"
_VERSION: Final = 1
#: Stands among licences for a model whose card states none.
UNSTATED: Final = "unstated"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What is allowed. Each is a list; what matches nothing in it is refused, so an empty one allows none.

    Args:
        file: where it was read.
        registries: patterns of the addresses of MLflow servers and stores.
        models: patterns of registered names; a model without one is matched by its URI (``runs:/*``, ``models:/m-*``).
        hub: patterns of hub names, of weights that a logged model only names.
        folders: folders of this driver below which models may lie; ``*`` for any.
        licences: as cards state them, in lower case, or patterns; ``unstated`` for cards that state none.
    """

    file: Path
    registries: tuple[str, ...]
    models: tuple[str, ...]
    hub: tuple[str, ...]
    folders: tuple[str, ...]
    licences: tuple[str, ...]

    def check_source(self, uri: str, *, name: str, store: str | None) -> None:
        """Raises ForbiddenModelError where a model comes from elsewhere than is allowed.

        Args:
            uri: as it was asked for.
            name: of the registered model, its URI where it has none, or the folder.
            store: the registry's address, as ``shown``; None for a folder of this driver.
        """
        if store is None:
            self._check_folder(uri, name)
            return
        if not _fits(store, self.registries):
            raise self._refusal(uri, f"it is in the registry {shown(store)}", "registries")
        if not _fits(name, self.models):
            raise self._refusal(uri, f"it is called {name}", "models")

    def check_files(self, uri: str, root: Path) -> None:
        """Raises ForbiddenModelError for a licence, or weights outside of the folder ``root``, that are not allowed."""
        for licence_ in licence.stated(root) or (UNSTATED,):
            if not _fits(licence_, self.licences):
                raise self._refusal(uri, f"its licence is {licence_}", "licences")
        for name in flavor.references(root) if (root / flavor.FILE).exists() else ():
            if Path(name).is_absolute():
                self._check_folder(uri, name)
            elif not _fits(name, self.hub):
                raise self._refusal(uri, f"its weights are those of {name}", "hub")

    def _check_folder(self, uri: str, folder: str) -> None:
        place = Path(folder).resolve()
        if "*" not in self.folders and not any(place.is_relative_to(_folder(one)) for one in self.folders):
            raise self._refusal(uri, f"it lies in {place}", "folders")

    def _refusal(self, uri: str, found: str, key: str) -> ForbiddenModelError:
        allowed = ", ".join(getattr(self, key)) or "none"
        return ForbiddenModelError(
            f"expected a model that the policy {self.file} allows, got {uri}: {found}, and {key} are {allowed}. Score "
            "an allowed one, or ask whoever keeps that file"
        )


def active() -> Policy | None:
    """The policy of this process; None where $EMBERCAST_POLICY is unset. Raises ParameterError as ``read`` does."""
    named = os.environ.get(VARIABLE)
    return read(Path(named).expanduser()) if named else None


def read(file: Path) -> Policy:
    """A policy file. Raises ParameterError where it is not there or says anything but what a policy says."""
    import yaml

    keys = [one.name for one in fields(Policy) if one.name != "file"]
    try:
        said = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ParameterError(f"expected a policy at {file}, which {VARIABLE} names, got: {error}") from error
    if not isinstance(said, Mapping) or said.get("version") != _VERSION or set(said) != {"version", *keys}:
        found = ", ".join(map(str, said)) if isinstance(said, Mapping) else type(said).__name__
        raise ParameterError(
            f"expected version: {_VERSION} and the keys {', '.join(keys)} in the policy {file}, got {found}: write "
            "each, [] allows none"
        )
    return Policy(file=file, **{key: _texts(file, key, said[key]) for key in keys})


def _texts(file: Path, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise ParameterError(
            f'expected a list of texts for {key} in the policy {file}, got {value!r}: write ["*"] or []'
        )
    return tuple(one.lower() for one in value) if key == "licences" else tuple(value)


def _folder(written: str) -> Path:
    return Path(written).expanduser().resolve()


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def shown(address: str) -> str:
    """An address without the user and password in it."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if parts.netloc else address
