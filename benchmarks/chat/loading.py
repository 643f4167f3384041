"""A model as the rivals load it."""

from __future__ import annotations

from typing import Any

from benchmarks.chat.spec import Spec


def loaded(spec: Spec) -> tuple[Any, Any]:
    """The model on its device, in eval mode, and its tokenizer, which pads on the left."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(spec.model, dtype=getattr(torch, spec.dtype))
    return model.eval().to(spec.device), AutoTokenizer.from_pretrained(spec.model, padding_side="left")
