"""Parameters that a model was logged with, under those that are asked for. Runs where a model is resolved."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from engine.errors import ParameterError
from engine.models.pipelines import NOT_CALLED
from engine.models.ref import ModelRef
from engine.options import Column
from engine.tasks import task_class
from engine.tasks.params import parse_given

log = logging.getLogger("embercast")


def over_logged(ref: ModelRef, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters asked for over those that were logged, which stay for the rows in which a column is null."""
    without = {name for name, value in asked.items() if isinstance(value, Column) and value.default is None}
    logged = _logged_params(ref, {name: value for name, value in asked.items() if name not in without})
    columns = {name: replace(asked[name], default=logged.get(name)) for name in without}
    return {**logged, **asked, **columns}


def _logged_params(ref: ModelRef, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The logged model's parameters that the task takes; others (batch_size, device) are this engine's to choose."""
    cls = task_class(ref.task)
    if cls.open_params:
        return {name: value for name, value in ref.params.items() if name not in NOT_CALLED}
    taken = {field.name for field in fields(cls.Params)}
    ignored = sorted(set(ref.params) - taken)
    if ignored:
        log.warning("parameters logged with %s that %s does not take: %s", ref.pinned, ref.task, ", ".join(ignored))
    logged = {name: value for name, value in ref.params.items() if name in taken - asked.keys()}
    for name, value in logged.items():
        try:
            parse_given(ref.task, {name: value})
        except ParameterError as error:
            if _taken(ref.task, {**logged, **asked}):  # some are taken beside others alone
                return logged
            raise ParameterError(f"{error}. {ref.pinned} was logged with it: give {name} in params") from error
    return logged


def _taken(task: str, params: Mapping[str, Any]) -> bool:
    try:
        parse_given(task, params)
    except ParameterError:
        return False
    return True
