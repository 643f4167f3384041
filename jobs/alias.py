"""An alias in the registry, from the version that it names to another. Runs on the driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import ParameterError
from engine.models.registry import pin, registered
from jobs.errors import DefinitionError, Problem, RunError
from jobs.references import mask, reveal

if TYPE_CHECKING:
    from jobs.definition import JobDefinition


@dataclass(frozen=True, kw_only=True)
class Alias:
    """A registered model's alias.

    Args:
        model: the registered model's name; name: the alias.
        old: the version that it names; new: the one that may take its place.
    """

    model: str
    name: str
    old: str
    new: str

    @classmethod
    def of(cls, definition: JobDefinition, candidate: str) -> Alias:
        """The alias that a definition names, and the version of ``candidate`` (models:/name/4, or another alias).

        Raises DefinitionError for a definition that names no alias, ParameterError for a candidate that is no version
        of the same model or the one that the alias names already, ModelNotFoundError for what the registry lacks.
        """
        uri = reveal(definition.model)
        model, name = registered(uri) or ("", None)
        if name is None:
            raise DefinitionError([_no_alias(definition)])
        (_, old), wanted = pin(uri), registered(candidate)
        if wanted is None or wanted[0] != model:
            raise ParameterError(
                f"expected a version of {mask(model)}, such as models:/{mask(model)}/4, got {mask(candidate)}: "
                f"{mask(uri)} is what the definition scores with"
            )
        _, new = pin(candidate)
        assert old is not None
        assert new is not None
        if new == old:
            raise ParameterError(
                f"{mask(uri)} names version {new} already: there is nothing to compare. `embercast run` scores what is "
                "left to score with it, after a promotion that was interrupted with the same on_change (--set)"
            )
        return cls(model=model, name=name, old=old, new=new)

    @property
    def uri(self) -> str:
        """As a definition names it."""
        return f"models:/{self.model}@{self.name}"

    def at(self, version: str) -> str:
        """The URI of a version of the model."""
        return f"models:/{self.model}/{version}"

    def move(self) -> None:
        """Points the alias at the new version.

        Raises RunError where it names another than the old one by now, or where the registry refuses: nothing is moved.
        """
        import mlflow
        from mlflow.exceptions import MlflowException

        _, now = pin(self.uri)
        if now != self.old:
            raise RunError(
                f"{mask(self.uri)} named version {self.old} when it was compared and names {now} now: nothing was "
                "changed. Compare again"
            )
        try:
            mlflow.MlflowClient().set_registered_model_alias(self.model, self.name, self.new)
        except MlflowException as error:
            raise RunError(
                f"expected the registry to point {mask(self.uri)} at version {self.new}, it answers: {error.message} "
                "Nothing was changed: may you change the model?"
            ) from error


def _no_alias(definition: JobDefinition) -> Problem:
    return Problem(
        file="",
        line=None,
        key="model",
        expected="an alias to move, models:/name@alias",
        got=definition.model,
        hint="write an alias there, or change the version by hand: `embercast plan` shows what follows",
    )
