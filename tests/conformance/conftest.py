from __future__ import annotations

from tests.unit.conftest import _own_cache

__all__ = ["_own_cache"]
