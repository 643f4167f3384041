"""Models that answer through this engine at MLflow's own doors too: ``log_model``, ``adopt`` for those that stock
MLflow logged, and what stock MLflow then calls.

Importing this imports neither MLflow nor a model library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from udfs.pyfunc.adoption import adopt
    from udfs.pyfunc.log import log_model
    from udfs.pyfunc.model import load
    from udfs.pyfunc.save import save_model

__all__ = ["adopt", "load", "log_model", "save_model"]

_ROOMS = {
    "adopt": "udfs.pyfunc.adoption",
    "load": "udfs.pyfunc.model",
    "log_model": "udfs.pyfunc.log",
    "save_model": "udfs.pyfunc.save",
}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        from importlib import import_module

        return getattr(import_module(_ROOMS[name]), name)
    raise AttributeError(f"module 'udfs.pyfunc' has no attribute {name!r}")
