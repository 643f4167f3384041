"""What MLflow's doors make of the engine's struct: the one place where the doors' differences are undone for a test.

``docs/doors.md`` tells them; ``tests/golden/test_forced.py`` holds the page and this file together.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa


def forced(value: Any, of: pa.DataType) -> Any:
    """A value of this type as ``load_model().predict`` and stock ``spark_udf`` give it.

    They can give no null struct, and no null list of structs or lists: a struct of such values and an empty list stand
    in their places, at every depth. All else is as the engine says it.
    """
    if pa.types.is_struct(of):
        known = value or {}
        return {one.name: forced(known.get(one.name), one.type) for one in of}
    if pa.types.is_list(of) and pa.types.is_nested(of.value_type):
        return [forced(one, of.value_type) for one in value or ()]
    return value
