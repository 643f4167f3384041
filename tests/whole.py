"""Whether tests do the whole of what they shorten: minutes more on two cores, by EMBERCAST_WHOLE=1."""

from __future__ import annotations

import os
from typing import Final

WHOLE: Final = bool(os.environ.get("EMBERCAST_WHOLE"))
