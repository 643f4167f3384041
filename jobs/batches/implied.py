"""What a definition need not say because the format does: key, inputs, and the parameters that lie in the requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.options import Column
from jobs.batches import FORMAT, KEY
from jobs.batches.endpoints import ENDPOINTS, Endpoint


def implied(data: Any) -> Any:
    """A definition as it was written → the same with what its batch file says of itself; others stay as they are.

    A parameter that the definition sets counts for the requests that leave it out.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("source"), Mapping):
        return data
    source, task, params = data["source"], data.get("task"), data.get("params") or {}
    if source.get("format") != FORMAT or not isinstance(params, Mapping):
        return data
    endpoint = ENDPOINTS.get(task) if isinstance(task, str) else None
    if endpoint is None:  # an error, which is told where the task is checked
        return {**data, "source": {"key": [KEY], "inputs": "body", **source}}
    filled = {"key": [KEY], "inputs": {endpoint.role: endpoint.column}, **source}
    return {**data, "source": filled, "params": {**endpoint.params, **params, **_columns(endpoint, params)}}


def definition_of(path: str, *, model: str, output: str, task: str) -> dict[str, Any]:
    """A definition that moves a batch as it is: every request that fails stands in errors.jsonl, and ends nothing."""
    return {
        "version": 1,
        "name": "openai_batch",
        "model": model,
        "task": task,
        "source": {"path": path, "format": FORMAT},
        "sink": {"path": output, "format": FORMAT},
        "errors": {"max_fraction": 1.0},
    }


def _columns(endpoint: Endpoint, params: Mapping[str, Any]) -> dict[str, Column]:
    """The parameters that requests carry, with what the definition says as the default of each."""
    fixed = {name: value for name, value in params.items() if not isinstance(value, Mapping | Column)}
    carried = {one.param: Column(key, fixed.get(one.param)) for key, one in endpoint.fields.items()}
    return {name: column for name, column in carried.items() if name in fixed or name not in params}
