"""The models that are measured: SmolLM2-135M-Instruct from its package, or one of random weights of any size.

The time of a step does not depend on what the weights are, and no answer ends before its length.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.text.texts import WORDS

#: Hidden size, width, layers, heads, heads of keys, tokens of the vocabulary.
SIZES: Final[Mapping[str, tuple[int, int, int, int, int, int]]] = {
    "smallest": (64, 128, 2, 4, 2, 2048),
    "smollm2": (576, 1536, 30, 9, 3, 49_152),
    "1b": (2048, 8192, 16, 32, 8, 128_256),
    "8b": (4096, 14_336, 32, 32, 8, 128_256),
}
_TEMPLATE: Final = (
    "{% for message in messages %}<|im_start|> {{ message['role'] }} {{ message['content'] }} <|im_end|> {% endfor %}"
    "{% if add_generation_prompt %}<|im_start|> assistant {% endif %}"
)


def chat_model(folder: Path, size: str | None = None) -> Path:
    """SmolLM2, or a random model of a size in ``SIZES``; with a chat template, as ``save_pretrained`` writes it."""
    _quietly()
    if size is None:
        from demo.smollm import save

        return save(folder)
    return random(folder, *SIZES[size])


def gguf() -> Path:
    """SmolLM2's file for llama.cpp."""
    from demo.smollm import package

    return package()


def random(folder: Path, hidden: int, wide: int, layers: int, heads: int, key_heads: int, vocabulary: int) -> Path:
    """A Llama of random weights, seeded, with a tokenizer of words. float32, above 300 M parameters bfloat16."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    tokenizer = _tokenizer()
    ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=wide,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_heads,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        **ids,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    if model.num_parameters() > 300_000_000:
        model = model.to(torch.bfloat16)
    model.generation_config = GenerationConfig(**ids)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer() -> Any:
    """A token a word; those that it doesn't know are one token, all the same."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    words = dict.fromkeys((*special, "system", "user", "assistant", *WORDS))
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, special[0]))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token=special[0], bos_token=special[1], eos_token=special[2], pad_token=special[2]
    )
    tokenizer.chat_template = _TEMPLATE
    return tokenizer


def _quietly() -> None:
    """Keeps transformers' bars out of the benchmark's own lines."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
