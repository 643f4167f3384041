"""What an artifact tells the engine that loads it: the task, and how to compute. Lies in MLmodel's python_function.

Configuration lies inside the artifact because stock ``spark_udf`` drops its own on clusters. Runs anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from engine.errors import ModelError, ParameterError
from engine.options import Compute

#: The key of the python_function flavor that holds it.
KEY: Final = "embercast"
#: Of the artifact's layout and of the fields below; an engine reads all formats up to its own.
FORMAT: Final = 1
#: What an artifact always says.
_SAID: Final = ("task", "release", "format")


@dataclass(frozen=True, kw_only=True)
class Definition:
    """How an artifact is scored.

    Args:
        task: of the task table, whatever the transformers flavor beside it calls it.
        release: of the engine that logged it.
        format: of the artifact.
        dtype, device, batch_tokens, backend: as in a job's ``compute``.
    """

    task: str
    release: str
    format: int = FORMAT
    dtype: str = "auto"
    device: str = "auto"
    batch_tokens: int | str = "auto"
    backend: str = "auto"

    def to_dict(self) -> dict[str, Any]:
        """As it is written into MLmodel."""
        return asdict(self)

    @classmethod
    def asked(cls, task: str, settings: Mapping[str, Any]) -> Definition:
        """Of a task of the table, with the settings that are asked for over their defaults, by this release.

        Raises ParameterError for a setting that there is none of, or a value that it can't have.
        """
        import engine

        known = [one.name for one in fields(cls) if one.name not in _SAID]
        unknown = sorted(settings.keys() - known)
        if unknown:
            raise ParameterError(f"expected {', '.join(known)} in the definition, got {', '.join(unknown)}")
        Compute(**settings)
        return cls(task=task, release=engine.__version__, **settings)

    @classmethod
    def of(cls, described: Mapping[str, Any], name: str) -> Definition:
        """Of what an MLmodel says; ``name`` is what to call the artifact.

        Raises ModelError where it has none, or where a later engine wrote it than this one can read.
        """
        found = ((described.get("flavors") or {}).get("python_function") or {}).get(KEY)
        if found is None:
            raise ModelError(
                f"expected a model that udfs.pyfunc.log_model logged, {name} has no {KEY} in its MLmodel: "
                "embercast adopt makes one of it"
            )
        _check(found, name)
        return cls(**found)


def _check(found: Any, name: str) -> None:
    import engine

    known = {one.name for one in fields(Definition)}
    if not isinstance(found, Mapping) or not {*_SAID} <= found.keys():
        raise ModelError(f"expected task, release and format under {KEY} in the MLmodel of {name}: log the model again")
    if not isinstance(found["format"], int) or found["format"] > FORMAT:
        raise ModelError(
            f"expected a model of format {FORMAT} or before, which embercast {engine.__version__} reads; {name} was "
            f"logged by embercast {found['release']} in format {found['format']}: install that release or a later"
        )
    unknown = sorted(found.keys() - known)
    if unknown:  # left out, they would change how it is scored
        raise ModelError(
            f"expected settings that embercast {engine.__version__} knows under {KEY}, {name} has "
            f"{', '.join(map(str, unknown))}: install embercast {found['release']}, which logged it, or a later"
        )
