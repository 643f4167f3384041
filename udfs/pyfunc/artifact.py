"""An artifact's folder: what its MLmodel says to this engine, and what MLflow wrote beside it when it was fetched.

Read as YAML, so that nothing of the artifact is run. Runs wherever a model is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.models import flavor
from udfs.pyfunc.definition import Definition

#: Where MLflow writes which version of a registered model a folder is.
_REGISTERED: Final = "registered_model_meta"


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A folder that ``udfs.pyfunc.save_model`` wrote.

    Args:
        root: the folder.
        definition: how it is scored.
        config: model_config as it was logged.
        defaults: of the signature's parameters; null where the model's own value stands for it.
        known_as: models:/name/3 where it was fetched by that, else models:/m-id, else the folder's name.
    """

    root: Path
    definition: Definition
    config: Mapping[str, Any]
    defaults: Mapping[str, Any]
    known_as: str

    @classmethod
    def read(cls, root: Path) -> Artifact:
        """Raises ModelError where there is no artifact of ours, or one of a later format."""
        described = flavor.described(root)
        return cls(
            root=root,
            definition=Definition.of(described, root.name),
            config=described["flavors"]["python_function"].get("config") or {},
            defaults=flavor.defaults_of(described),
            known_as=_known_as(root, described),
        )


def _known_as(root: Path, described: Mapping[str, Any]) -> str:
    fetched = _yaml(root / _REGISTERED)
    if fetched:
        return f"models:/{fetched['model_name']}/{fetched['model_version']}"
    logged = described.get("model_id")
    return f"models:/{logged}" if logged else root.name


def _yaml(path: Path) -> Mapping[str, Any]:
    import yaml

    found: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found or {}
