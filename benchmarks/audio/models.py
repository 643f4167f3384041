"""The models that are measured: Whisper tiny.en from its package, or one of random weights of any size.

The time of a step does not depend on what the weights are, but a random model never ends: its texts are cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

#: Hidden size, encoder layers, decoder layers, heads, mel bins.
SIZES: Final[Mapping[str, tuple[int, int, int, int, int]]] = {
    "smallest": (64, 1, 1, 2, 80),
    "tiny": (384, 4, 4, 6, 80),
    "base": (512, 6, 6, 8, 80),
    "small": (768, 12, 12, 12, 80),
    "large-v3-turbo": (1280, 32, 4, 20, 128),
}
_END: Final = 50_256  # of a text: the first special token
#: Tokens of a random model's window: what 30 s of speech take.
_TOKENS: Final = 100


@dataclass(frozen=True, kw_only=True)
class Whisper:
    """A model's folder as ``save_pretrained`` writes it, and that for faster-whisper.

    ``params`` are the engine's where the model needs some; ``speech`` says whether it understands any.
    """

    folder: Path
    converted: Path | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    speech: bool = True


def whisper(folder: Path, size: str | None = None) -> Whisper:
    """Whisper tiny.en, or a random model of a size in ``SIZES``."""
    if size is not None:
        return Whisper(folder=random(folder, *SIZES[size]), params={"max_new_tokens": _TOKENS}, speech=False)
    from demo.whisper import package, save

    return Whisper(folder=save(folder), converted=package())


def random(folder: Path, hidden: int, layers: int, decoder_layers: int, heads: int, bins: int) -> Path:
    """A Whisper of random weights that knows one language, with a tokenizer of bytes. float32, seeded."""
    import torch
    from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

    tokenizer = _tokenizer()
    end, start = tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|startoftranscript|>"])
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        d_model=hidden,
        encoder_layers=layers,
        decoder_layers=decoder_layers,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=4 * hidden,
        decoder_ffn_dim=4 * hidden,
        num_mel_bins=bins,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=start,
        begin_suppress_tokens=None,
    )
    model = WhisperForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        decoder_start_token_id=start,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        no_timestamps_token_id=tokenizer.convert_tokens_to_ids("<|notimestamps|>"),
        prev_sot_token_id=tokenizer.convert_tokens_to_ids("<|startofprev|>"),
        suppress_tokens=[],
        begin_suppress_tokens=[],
        is_multilingual=False,
        max_initial_timestamp_index=50,
        max_length=448,
        return_timestamps=False,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=bins).save_pretrained(folder)
    return folder


def _tokenizer() -> Any:
    """One with the ids of Whisper's English models: bytes and made-up words, special tokens, time stamps."""
    from tokenizers.pre_tokenizers import ByteLevel

    from demo.whisper import tokenizer

    pieces = [*sorted(ByteLevel.alphabet())]
    pieces += [f"Ġ{i}" for i in range(_END - len(pieces))]
    languages = [f"<|l{i}|>" for i in range(99)]
    named = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")
    special = ["<|endoftext|>", "<|startoftranscript|>", *languages, *(f"<|{name}|>" for name in named)]
    return tokenizer({piece: i for i, piece in enumerate([*pieces, *special])}, [], special)
