"""A loaded model's parameters, by MLflow's precedence; of two, the first wins:

    params of predict → model_config of load_model → defaults of the signature → model_config as it was logged

MLflow fills in what a caller left out with the signature's defaults, so that they look as though they were asked for
(``mlflow.models.utils._enforce_params_schema``). A value that equals its default therefore counts as left out: a
default never undoes what the model was loaded with. Runs where a model is loaded, and where it predicts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from engine.errors import ParameterError
from engine.inferred import plain
from engine.models import names
from engine.models.ref import ModelRef
from engine.tasks import task_class
from udfs.logged import over_logged
from udfs.pyfunc.artifact import Artifact
from udfs.pyfunc.signature import in_json

_MISSING: Final = object()


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What a model is scored with, and what that becomes for one call.

    Args:
        task: of the table.
        values: the task's parameters for a caller who asks for none.
        config: model_config that it was loaded with, under the names that transformers has for it.
        defaults: of the signature; null where the model's own value stands for it.
    """

    task: str
    values: Mapping[str, Any]
    config: Mapping[str, Any]
    defaults: Mapping[str, Any]

    def asked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The task's parameters for a call: ``given`` is what ``predict`` was handed as params.

        A parameter that is an object may be given as JSON. One whose default its owner wrote into the signature is
        read by transformers' name, as the default is. Raises ParameterError for one that no call may give, and for
        text that is no JSON.
        """
        values = {name: plain(value) for name, value in given.items()}
        asked = {name: one for name, one in values.items() if one is not None and one != self.defaults.get(name)}
        known = {one.name for one in fields(task_class(self.task).Params)}
        own = {name: one for name, one in asked.items() if name in known and self.defaults.get(name) is None}
        theirs = {name: one for name, one in asked.items() if name not in own}
        changed = _changed(self.task, self.config, theirs)
        # of what transformers nests (generate_kwargs) too
        refused = sorted({*task_class(self.task).fixed} & (asked.keys() | changed.keys()))
        if refused:
            raise ParameterError(
                f"expected {', '.join(refused)} from who logged or loaded the model, a call may not give it: log the "
                "model with it in model_config, or take udfs.pyfunc.load(…, params=…)"
            )
        return {**self.values, **changed, **_read(self.task, own)}


def parameters(ref: ModelRef, artifact: Artifact, model_config: Mapping[str, Any]) -> Parameters:
    """Those of a model that was loaded with ``model_config``, in which MLflow leaves what was logged and not changed.

    Raises ParameterError for a value that the task does not take.
    """
    config = {**artifact.config, **{name: plain(value) for name, value in model_config.items()}}
    changed = {name: value for name, value in config.items() if artifact.config.get(name, _MISSING) != value}
    values = {**ref.params, **_changed(ref.task, artifact.config, changed)}
    return Parameters(
        task=ref.task,
        values=over_logged(replace(ref, params=values), {}),
        config=config,
        defaults=artifact.defaults,
    )


def _changed(task: str, config: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    """What changes among the task's parameters: several of transformers' names may come to one, or one to several."""
    before, after = names.params_of(task, config), names.params_of(task, {**config, **changed})
    return {name: value for name, value in after.items() if before.get(name, _MISSING) != value}


def _read(task: str, given: Mapping[str, Any]) -> dict[str, Any]:
    texts = in_json(task) & {name for name, value in given.items() if isinstance(value, str)}
    return {**given, **{name: _parsed(name, given[name]) for name in texts}}


def _parsed(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise ParameterError(f"expected {name} as JSON, got text that is none") from None
