"""Code that transformers would import from a model's folder or fetch from a hub, as its configuration asks.

``auto_map`` names classes (https://huggingface.co/docs/transformers/custom_models); an attention or experts
implementation with a ``/`` in it is a repository of kernels, which the package kernels fetches and runs. Runs on the
driver.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from engine.errors import UnsafeModelError
from engine.models.safety import ALLOW, read_json

_FILES: Final = (
    "config.json",
    "tokenizer_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "generation_config.json",
)
_KERNELS: Final = frozenset(
    f"{start}{kind}_implementation{end}"
    for kind in ("attn", "experts")
    for start, end in (("", ""), ("_", ""), ("_", "_internal"))
)


def check(folders: Iterable[Path], *, allow_foreign_code: bool = False) -> None:
    """Raises UnsafeModelError where a configuration in one of the folders asks for code that is not transformers' own.

    Where it is allowed, kernels are left to transformers. An auto_map is not followed even then: transformers' own
    class of that architecture takes its place, and an architecture without one is refused.
    """
    for path in (folder / name for folder in folders for name in _FILES):
        if not path.exists():
            continue
        config = read_json(path)
        for name, value in _entries(config):
            if name == "auto_map" and value:
                _check_class(path, config, allow_foreign_code)
            elif name in _KERNELS and not allow_foreign_code:
                _check_kernels(path, name, value)


def _check_class(path: Path, config: Mapping[str, Any], allowed: bool) -> None:
    kind = config.get("model_type")
    if path.name == "config.json" and allowed and not _is_known(kind):
        raise UnsafeModelError(
            f"expected an architecture that transformers has, {path} has an auto_map and is a {kind}, which only the "
            "model's own code knows (trust_remote_code); this engine never runs that: score it with a custom PyFunc"
        )
    if not allowed:
        raise UnsafeModelError(
            f"{path} has an auto_map: loading it would run the model's own code (trust_remote_code), which is never "
            "done here. Log a model of an architecture that transformers has; where transformers' own class of this "
            "one will do, write allow_foreign_code: true (allow_foreign_code=True)"
        )


def _check_kernels(path: Path, name: str, value: Any) -> None:
    asked = value.values() if isinstance(value, Mapping) else [value]
    for one in asked:
        if isinstance(one, str) and "/" in one:
            raise UnsafeModelError(
                f"{path} asks for {one} as {name}: transformers would fetch that repository's code and run it. {ALLOW}"
            )


def _entries(config: Any) -> Iterator[tuple[str, Any]]:
    """Every entry, those of nested configurations too."""
    if isinstance(config, Mapping):
        for name, value in config.items():
            yield name, value
            yield from _entries(value)
    elif isinstance(config, list):
        for value in config:
            yield from _entries(value)


def _is_known(kind: Any) -> bool:
    from transformers import CONFIG_MAPPING

    return kind in CONFIG_MAPPING
