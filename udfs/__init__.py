"""embercast in Spark: ``score`` a DataFrame, a ``udf`` for a column expression, ``register`` a SQL function; answers
in a form that was asked for, ``parsed`` into typed columns.

Importing this imports neither Spark nor a model library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from udfs.answers import parsed
    from udfs.scoring import score
    from udfs.sql import register, udf

__all__ = ["parsed", "register", "score", "udf"]


def __getattr__(name: str) -> Any:
    if name == "parsed":
        from udfs.answers import parsed

        return parsed
    if name == "score":
        from udfs.scoring import score

        return score
    if name in ("register", "udf"):
        import udfs.sql

        return getattr(udfs.sql, name)
    raise AttributeError(f"module 'udfs' has no attribute {name!r}")
