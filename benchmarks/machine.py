"""On what something was measured. Imports neither a JVM nor MLflow, and torch only where it is asked for the GPU."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from engine.device import detect

_PACKAGES: Final = (
    *("torch", "transformers", "tokenizers", "numpy", "pyarrow", "pandas", "pyspark", "mlflow"),
    *("soundfile", "soxr", "av", "faster-whisper", "ctranslate2"),
    *("llguidance", "jsonschema"),
)


def machine() -> dict[str, Any]:
    """The processor and its cores, bfloat16 flag, memory, GPUs, and how busy it was when this was asked."""
    hardware = detect()
    return {
        "cpu": _cpu_name(),
        "cores": hardware.cores,
        "bf16_flag": hardware.bf16_flag,
        "memory_gb": round(hardware.memory / 2**30, 1),
        "gpus": [gpu.name for gpu in hardware.gpus],
        "load_average": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Python's and those of the packages that are installed."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # a GPU machine has neither Spark nor MLflow
    return found


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
