"""MLflow's environment variables of its transformers flavor, below what the artifact says itself.

Which there are: https://mlflow.org/docs/latest/api_reference/python_api/mlflow.environment_variables.html. None of them
names a dtype: a logged ``torch_dtype`` does. Runs where a model is loaded.
"""

from __future__ import annotations

import logging
import os
import re
from typing import Final

from engine.errors import ParameterError

log = logging.getLogger("embercast")

#: -1 is the CPU, 0 the first GPU, as transformers' pipelines number them; PyTorch's names are taken as well.
DEVICE: Final = "MLFLOW_DEFAULT_PREDICTION_DEVICE"
#: Spreads a model over all devices of a machine.
_DEVICE_MAP: Final = "MLFLOW_HUGGINGFACE_USE_DEVICE_MAP"
_NAMED: Final = re.compile(r"cpu|cuda(:\d+)?")


def device_of(own: str) -> str:
    """The device asked for: the artifact's own, and MLFLOW_DEFAULT_PREDICTION_DEVICE where that is auto.

    Raises ParameterError for a value that names no device.
    """
    if os.environ.get(_DEVICE_MAP, "").lower() in ("true", "1"):
        log.warning("%s is set: a model lies on one device here, which device and %s choose", _DEVICE_MAP, DEVICE)
    asked = os.environ.get(DEVICE, "").strip().lower()
    if own != "auto" or not asked:
        return own
    if asked == "-1":
        return "cpu"
    if asked.isdecimal():
        return f"cuda:{asked}"
    if _NAMED.fullmatch(asked):
        return asked
    raise ParameterError(f"expected {DEVICE} to be -1 (the CPU), the number of a GPU, cpu or cuda:N; got {asked!r}")
