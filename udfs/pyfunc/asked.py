"""What a user asks to be logged with a model, in the engine's words: parameters, and a signature of their own.

Runs on the driver.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from engine.errors import SchemaError
from engine.models import names
from engine.models.pipelines import NOT_CALLED
from engine.schema import schema_of
from engine.tasks import task_class
from engine.tasks.params import parse_given, row_params
from udfs.pyfunc.signature import has_signature, signature_of

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

log = logging.getLogger("embercast")


def params_of(said: str, given: Mapping[str, Any], template: str | None = None) -> dict[str, Any]:
    """``model_config`` under the task's own names, with the languages that the task's name holds.

    Args:
        said: the task as it was given, ``translation_en_to_de``.
        given: as a pipeline takes it; what the task does not take is left out, with a warning that names it.
        template: around the prompt; it is logged beside the parameters.

    Raises ParameterError for values that the task does not take.
    """
    task = names.task_of(said)
    asked = {name: value for name, value in given.items() if name not in NOT_CALLED}
    found = {**names.languages(said), **names.params_of(task, asked)}
    taken = {name: value for name, value in found.items() if name in _taken(task)}
    _say(f"parameters that {task} does not take are not logged", found.keys() - taken.keys())
    parse_given(task, taken if template is None else {**taken, "prompt_template": template})
    return taken


def signature(
    task: str, params: Mapping[str, Any], given: ModelSignature | None, template: str | None = None
) -> ModelSignature | None:
    """The signature of a task, with the parameters and the columns of the user's; None for results it can't hold.

    Args:
        task: of the table.
        params: logged with the model: the defaults of the signature's parameters.
        given: its parameters stand before the task's own, under the names they have there. Its inputs are taken where
            they name columns of the task; its outputs never are, since each task has its own.
        template: around the prompt.

    Raises SchemaError for other columns, and where outputs are asked of a task with binary results.
    """
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ParamSchema

    outputs = given is not None and given.outputs is not None
    if not outputs and not has_signature(task):
        log.warning("%s gives bytes, which stock spark_udf refuses: logged without a signature, score with a job", task)
        return None
    own = signature_of(task, params if template is None else {**params, "prompt_template": template})
    if given is None:
        return own
    theirs = [one for one in given.params.params if _names(task, one) <= _taken(task)] if given.params else []
    _say(f"parameters of the signature that {task} does not take are left out", _left_out(given, theirs))
    renamed = {one.name for one in theirs}.union(*(_names(task, one) for one in theirs))
    rest = [one for one in own.params.params if one.name not in renamed]
    return ModelSignature(
        inputs=given.inputs if _is_named(task, given) else own.inputs,
        outputs=own.outputs,
        params=ParamSchema([*theirs, *rest]),
    )


def _taken(task: str) -> set[str]:
    return {one.name for one in fields(task_class(task).Params)}


def _names(task: str, param: Any) -> set[str]:
    """What a parameter of a signature sets, in the task's words."""
    return set(names.params_of(task, {param.name: param.default}))


def _left_out(given: ModelSignature, taken: list[Any]) -> set[str]:
    return {one.name for one in given.params or ()} - {one.name for one in taken}


def _is_named(task: str, given: ModelSignature) -> bool:
    """Whether the inputs name columns of the task; without names they are those of a pipeline."""
    if given.inputs is None or given.inputs.is_tensor_spec() or not given.inputs.has_input_names():
        return False
    roles = schema_of(task).inputs
    found, known = set(given.inputs.input_names()), {*(role.name for role in roles), *row_params(task)}
    missing = {role.name for role in roles if role.required} - found
    if found - known or missing:
        raise SchemaError(
            f"expected columns of {', '.join(sorted(known))} in the signature's inputs, "
            f"got {', '.join(sorted(found))}: name them so, or leave inputs out and take the task's own"
        )
    return True


def _say(what: str, left_out: set[str]) -> None:
    if left_out:
        log.warning("%s: %s", what, ", ".join(sorted(left_out)))
