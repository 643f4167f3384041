"""Tiny random Whispers with a real tokenizer and feature extractor, as Hugging Face folders; offline and seeded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from demo import whisper
from tests.tiny import WORDS

#: What the tiny models may never write, beside their special tokens: real ones have such a list of symbols.
_NEVER: Final = "#$%&*+<=>@[]^_`{|}~"
_BEHIND_LANGUAGES: Final = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")


def tokenizer() -> Any:
    """Whisper's tokenizer with the words of tests/tiny.py: special tokens and time stamps stand in Whisper's order."""
    from tokenizers import pre_tokenizers
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    pieces = dict.fromkeys(sorted(pre_tokenizers.ByteLevel.alphabet()))
    merges: dict[tuple[str, str], None] = {}
    for word in WORDS:
        for end in range(1, len(word) + 1):
            left, right = f"Ġ{word[: end - 1]}", word[end - 1]
            merges[left, right] = None
            pieces[left + right] = None
    special = [f"<|{name}|>" for name in ("endoftext", "startoftranscript", *LANGUAGES, *_BEHIND_LANGUAGES)]
    return whisper.tokenizer({piece: i for i, piece in enumerate([*pieces, special[0]])}, list(merges), special)


def generation(tokenizer: Any, *, multilingual: bool = True, **overrides: Any) -> Any:
    """A generation configuration as real Whispers have it."""
    from transformers import GenerationConfig
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    def ids(*tokens: str) -> list[int]:
        return [int(one) for one in tokenizer.convert_tokens_to_ids(list(tokens))]

    end, start, no_timestamps = ids("<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>")
    special = ids(*(f"<|{name}|>" for name in (*LANGUAGES, *_BEHIND_LANGUAGES[:-1])))
    known: dict[str, Any] = {
        "decoder_start_token_id": start,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "prev_sot_token_id": ids("<|startofprev|>")[0],
        "no_timestamps_token_id": no_timestamps,
        "suppress_tokens": [*ids(*_NEVER), start, *special],
        "begin_suppress_tokens": [*ids("Ġ"), end],
        "alignment_heads": [[0, 1], [1, 0], [1, 3]],
        "max_initial_timestamp_index": 50,
        "max_length": 448,
        "is_multilingual": multilingual,
        "return_timestamps": False,
    }
    if multilingual:
        known["lang_to_id"] = {f"<|{code}|>": ids(f"<|{code}|>")[0] for code in LANGUAGES}
        known["task_to_id"] = {task: ids(f"<|{task}|>")[0] for task in ("transcribe", "translate")}
    return GenerationConfig(**{**known, **overrides})


def config(tokenizer: Any, **overrides: Any) -> Any:
    """A tiny configuration: two layers of four heads; windows of 30 s, as the real ones'."""
    from transformers import WhisperConfig

    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    sizes = {"layers": 2, "attention_heads": 4, "ffn_dim": 64}
    known = {
        "vocab_size": len(tokenizer),
        "num_mel_bins": 80,
        "d_model": 32,
        **{f"{side}_{name}": size for side in ("encoder", "decoder") for name, size in sizes.items()},
        "decoder_start_token_id": tokenizer.convert_tokens_to_ids("<|startoftranscript|>"),
        **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), end),
    }
    return WhisperConfig(**{**known, **overrides})


def model(
    *, multilingual: bool = True, seed: int = 0, settings: Mapping[str, Any] | None = None, **overrides: Any
) -> tuple[Any, Any]:
    """A model in eval mode and its tokenizer; ``settings`` go to its generation settings, ``overrides`` to its own.

    Weights are drawn wide enough for what is written to depend on what is heard; words are made likelier than letters,
    time stamps as likely as words, and the end token likely enough for some texts to end early.
    """
    import torch
    from transformers import WhisperForConditionalGeneration

    words = tokenizer()
    torch.manual_seed(seed)
    made = WhisperForConditionalGeneration(config(words, **overrides))
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if parameter.dim() > 1 and not name.startswith("model.encoder.embed_positions"):
                parameter.normal_(0.0, 0.25)
        embeddings, end = made.model.decoder.embed_tokens.weight, words.convert_tokens_to_ids("<|endoftext|>")
        embeddings[end] *= 3.0
        embeddings[words.convert_tokens_to_ids("Ġt") : end] *= 2.0
        embeddings[words.convert_tokens_to_ids("<|0.00|>") :] *= 0.5
        made.model.decoder.embed_positions.weight *= 8.0
    made.tie_weights()
    made.generation_config = generation(words, multilingual=multilingual, **(settings or {}))
    return made.eval(), words


def extractor(**overrides: Any) -> Any:
    """The feature extractor of the tiny models."""
    from transformers import WhisperFeatureExtractor

    return WhisperFeatureExtractor(**{"feature_size": 80, **overrides})


def save(folder: Path, **arguments: Any) -> Path:
    """Saves a tiny Whisper (``arguments`` as for ``model``), its tokenizer and its feature extractor."""
    made, words = model(**arguments)
    made.save_pretrained(folder)
    words.save_pretrained(folder)
    extractor(feature_size=made.config.num_mel_bins).save_pretrained(folder)
    return folder


def features(segments: int, *, seed: int = 0, mels: int = 80, frames: int = 3000) -> npt.NDArray[np.float32]:
    """float32 [segments, mels, frames]: noise that changes slowly, each segment louder than the one before."""
    drawn = np.random.default_rng(seed).normal(size=(segments, mels, -(-frames // 10)))
    slow = np.repeat(drawn, 10, axis=2)[:, :, :frames]
    return np.asarray(slow * np.linspace(0.5, 2.0, segments)[:, None, None], np.float32)
