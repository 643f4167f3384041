"""Tiny tokenizers of the kinds that language models have, made in a moment."""

from __future__ import annotations

from typing import Any

_SEEN = [
    '{"name":"Ada","tags":["x","y"],"age":36}',
    '{"label":"positive","score":0.5}',
    "true false null the a of",
    "é ü",
]


def byte_level(**arguments: Any) -> Any:
    """BPE over bytes, as GPT-2, Llama 3 and Qwen have it: <s> 0, <end> 1, <tool> 2 (added, not special)."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<s>", "<end>"], initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(_SEEN * 20, trainer)
    return _fast(made, **arguments)


def pieces(**arguments: Any) -> Any:
    """BPE over characters with ▁ for a space and bytes for what is unknown, as Llama 2, Mistral and Gemma have it."""
    from tokenizers import Tokenizer, decoders, models, normalizers

    letters = [*"▁abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", *'{}[]":,.-_@']
    words = [
        "<unk>",
        "<s>",
        "<end>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        *letters,
        "▁a",
        '":',
        '",',
        "▁{",
        "true",
    ]
    vocabulary = {word: number for number, word in enumerate(words)}
    merges = [("▁", "a"), ('"', ":"), ('"', ","), ("▁", "{")]
    made = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    made.decoder = decoders.Sequence(steps)
    return _fast(made, **arguments)


def _fast(made: Any, **arguments: Any) -> Any:
    from tokenizers import AddedToken
    from transformers import PreTrainedTokenizerFast

    made.add_tokens([AddedToken("<tool>", special=False, normalized=False)])
    given = {"bos_token": "<s>", "eos_token": "<end>", **arguments}
    return PreTrainedTokenizerFast(tokenizer_object=made, clean_up_tokenization_spaces=False, **given)
