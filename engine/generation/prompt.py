"""Prompts: the text of a row within the text that stands around it."""

from __future__ import annotations

from collections.abc import Sequence
from string import Formatter

from engine.errors import ParameterError


def split_template(template: str | None) -> tuple[str, str]:
    """What stands before and after the prompt; ``{{`` and ``}}`` are braces, as in MLflow's templates.

    Raises ParameterError where the template does not hold exactly one ``{prompt}``.
    """
    if template is None:
        return "", ""
    problem = f"expected prompt_template to hold {{prompt}} once and no other braces, got {template!r}"
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise ParameterError(f"{problem}: {error}") from None
    named = [at for at, (_, name, _, _) in enumerate(parts) if name is not None]
    if len(named) != 1 or parts[named[0]][1:] != ("prompt", "", None):
        raise ParameterError(problem)
    texts = [literal for literal, *_ in parts]
    return "".join(texts[: named[0] + 1]), "".join(texts[named[0] + 1 :])


def prompts(texts: Sequence[str], template: str | None, prefix: str = "") -> list[str]:
    """Each text within the template, after the prefix that the model was trained with."""
    before, after = split_template(template)
    return [f"{prefix}{before}{text}{after}" for text in texts]
