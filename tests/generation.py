"""Tiny models that write, and what plain transformers writes with them, one row at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
import transformers

from tests import tiny

CAUSAL: Final = ("llama", "gpt2", "opt", "qwen2")
SEQUENCES: Final = ("t5", "bart", "marian")
#: Many end tokens, so that texts end early, at different steps.
ENDS: Final = [3, *range(8, 190, 6)]


class Plain(NamedTuple):
    """What ``generate`` wrote: the new tokens, their text, and the sum of their log-probabilities."""

    ids: list[int]
    text: str
    logprob: float


def save(
    folder: Path,
    architecture: str,
    *,
    generation: Mapping[str, Any] | None = None,
    causal: bool | None = None,
    **overrides: Any,
) -> Path:
    """Saves a tiny model that writes; ``generation`` goes to its generation configuration.

    A causal model's prompts end with their last word, as those of real ones do, and not with an end token.
    """
    causal = architecture not in SEQUENCES if causal is None else causal
    special = {"bos_token_id": 2, "eos_token_id": 3} if causal else {}
    tiny.save(folder, architecture, head="CausalLM" if causal else "Seq2SeqLM", **{**special, **overrides})
    if causal:
        without_end(folder)
    config = transformers.GenerationConfig.from_pretrained(folder)
    config.update(**(generation or {}))
    config.save_pretrained(folder)
    return folder


def without_end(folder: Path) -> None:
    """Gives a folder a tokenizer that adds a start token alone."""
    from tokenizers import processors

    made = tiny.tokenizer(model_input_names=["input_ids", "attention_mask"])
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A", special_tokens=[("[CLS]", 2)]
    )
    made.save_pretrained(folder)


def plain(folder: Path, texts: Sequence[str], *, prompt: int | None = None, **arguments: Any) -> list[list[Plain]]:
    """The texts that ``model.generate(…)`` writes for each text alone; of prompts only the last tokens are kept."""
    causal = not transformers.AutoConfig.from_pretrained(folder).is_encoder_decoder
    auto = transformers.AutoModelForCausalLM if causal else transformers.AutoModelForSeq2SeqLM
    model = auto.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, truncation_side="left" if causal else "right")
    found = []
    for text in texts:
        inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=prompt or 64)
        inputs.pop("token_type_ids", None)
        made = model.generate(**inputs, pad_token_id=0, **arguments)
        start = inputs["input_ids"].shape[1] if causal else 1
        found.append([_plain(model, tokenizer, inputs, ids, start) for ids in made])
    return found


def _plain(model: Any, tokenizer: Any, inputs: Any, ids: Any, start: int) -> Plain:
    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    new = ids[start:].tolist()
    new = new[: next((at + 1 for at, token in enumerate(new) if token in ends), len(new))]
    ids = ids[: start + len(new)][None]
    with torch.no_grad():
        if not model.config.is_encoder_decoder:
            logits = model(input_ids=ids[:, :-1]).logits[0, start - 1 :]
        else:
            logits = model(**inputs, decoder_input_ids=ids[:, :-1]).logits[0]
    logprob = sum(float(row.log_softmax(dim=-1)[token]) for row, token in zip(logits, new, strict=True))
    return Plain(new, tokenizer.decode(new, skip_special_tokens=True), logprob)
