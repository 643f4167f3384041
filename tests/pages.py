"""Reads what a run's page holds."""

from __future__ import annotations

import json
import re
from typing import Any


def held(page: str, name: str) -> Any:
    """The JSON under that id: ``figures`` or ``charts``."""
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def written(page: str) -> str:
    """The page without plotly's own code, which is four megabytes of anything."""
    return re.sub(r"<script>(?!\s*for).*?</script>", "", page, flags=re.DOTALL)
