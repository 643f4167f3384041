"""A model as a function of columns: which argument is which, and the answers of a batch. Runs in the worker.

Spark hands over one Arrow batch a call (10,000 rows unless ``spark.sql.execution.arrow.maxRecordsPerBatch`` says
otherwise) and takes one array back. Its iterator UDFs would be handed batch after batch, but take no named arguments
(NAMED_PARAMETERS_NOT_SUPPORTED, Spark 4.2), and each call of one is evaluated in a worker of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import pyarrow as pa

from engine.errors import ParameterError
from engine.options import Column, Request
from engine.schema import Input, TaskSchema
from udfs.memo import Memo
from udfs.worker import Descriptor

T = TypeVar("T")

#: Answers of one batch, in bytes: an Arrow column of texts or lists ends at twice that.
_MOST: Final = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Function:
    """What travels to the workers: small, picklable, made on the driver.

    Args:
        descriptor: of the scorer, with the parameters that hold for every call.
        schema: what the task reads and gives.
        parameters: that a call may give by name.
        needed: of these, those that each call has to give.
        identity: of all that answers depend on beside the columns.
    """

    descriptor: Descriptor
    schema: TaskSchema
    parameters: tuple[str, ...]
    needed: tuple[str, ...]
    identity: str

    def named(self, columns: Sequence[T], named: Mapping[str, T]) -> dict[str, T]:
        """The arguments of a call by name: roles in their order, then whatever was given by name.

        Raises ParameterError for one that is missing, unknown, given twice or one too many.
        """
        roles = [role.name for role in self.schema.inputs]
        given = dict(zip(roles, columns, strict=False))
        required = [*(role.name for role in self.schema.inputs if role.required), *self.needed]
        wrong = [
            *(f"{len(columns)} columns" for _ in range(len(columns) > len(roles))),
            *(f"{name} twice" for name in named if name in given),
            *(f"{name} =>" for name in named if name not in {*roles, *self.parameters}),
            *(f"no {name}" for name in required if name not in {**given, **named}),
        ]
        if wrong:
            raise ParameterError(f"expected {self._takes}, got {', '.join(wrong)}")
        return {**given, **named}

    @property
    def _takes(self) -> str:
        """``(text, [text_pair]), and by name top_k, …``."""
        roles = ", ".join(_shown(role) for role in self.schema.inputs)
        by_name = f", and by name (name => value) {', '.join(self.parameters)}" if self.parameters else ""
        return f"({roles}){by_name}"

    def __call__(self, columns: Mapping[str, pa.Array]) -> pa.StructArray:
        """The struct of each row, from columns by role and parameter.

        Raises ModelError or DeviceError where the worker can't score at all, ParameterError where the answers of a
        batch are too large for one column.
        """
        batch = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
        if not batch.num_rows:
            return pa.array([], self.schema.output)
        memo = Memo.of_task(self.identity)
        return self._score(batch) if memo is None else memo.answers(batch, self._score)

    def _score(self, batch: pa.RecordBatch) -> pa.StructArray:
        parts: list[pa.StructArray] = []
        rows = held = 0
        for scored in replace(self.descriptor, request=self._request(batch.schema.names)).score([batch]):
            parts.append(scored.result)
            rows += len(scored.result)
            held += scored.result.nbytes
            _check_size(held, rows, batch.num_rows)
        return pa.concat_arrays(parts)

    def _request(self, names: Sequence[str]) -> Request:
        roles = {role.name for role in self.schema.inputs}
        fixed: Mapping[str, Any] = self.descriptor.request.params
        by_row = {name: Column(name, default=_default(fixed.get(name))) for name in names if name not in roles}
        return Request(inputs={name: name for name in names if name in roles}, params={**fixed, **by_row})


def _default(value: Any) -> Any:
    """What rows get in which the argument is null; one that each call gives has none."""
    return None if isinstance(value, Column) else value


def _shown(role: Input) -> str:
    return role.name if role.required else f"[{role.name}]"


def _check_size(held: int, rows: int, of: int) -> None:
    """Refuses at the first windows what would not fit at the last."""
    if held * of > _MOST * rows:
        fitting = max(1, rows * _MOST // (2 * held))
        raise ParameterError(
            f"expected answers of at most {_MOST / 2**30:g} GiB for a batch of a SQL function, these {of:,} rows would "
            f"give {held * of / rows / 2**30:.2g}: SET spark.sql.execution.arrow.maxRecordsPerBatch = {fitting}, or "
            "take udfs.score"
        )
