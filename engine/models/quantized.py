"""Models saved in 4 or 8 bits by bitsandbytes: dequantized on the driver, scored in the job's dtype."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from engine.errors import ModelError
from engine.models.folder import read_json


def check(model_dir: Path) -> tuple[str, ...]:
    """What is to be said of a quantized model before it is scored; nothing of one that is not. Runs on the driver.

    Raises ModelError where the weights can't be dequantized here.
    """
    quantized = read_json(model_dir / "config.json").get("quantization_config")
    if not quantized:
        return ()
    method = str(quantized.get("quant_method") or "bitsandbytes")
    if method != "bitsandbytes":
        raise ModelError(
            f"expected weights in float32, bfloat16, float16 or of bitsandbytes in {model_dir}, they are quantized by "
            f"{method}: log the model it was made from"
        )
    if find_spec("bitsandbytes") is None:
        raise ModelError(
            f"expected bitsandbytes, by which the weights in {model_dir} are quantized, on this driver; it is not "
            "installed: pip install 'embercast[quantized]', or log model.dequantize()"
        )
    bits = 4 if quantized.get("load_in_4bit") else 8
    return (f"the weights were quantized to {bits} bits; they are dequantized, and take the memory of their new dtype",)


def dequantize(model: Any, dtype: str) -> Any:
    """The model with plain weights of this dtype; one that is not quantized as it is."""
    import torch

    return model.dequantize(getattr(torch, dtype)) if getattr(model, "hf_quantizer", None) is not None else model
