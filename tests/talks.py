"""Tiny models that talk in ChatML, character by character: a text of theirs has one way to be tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.continuous.row import Row
from tests import chats, tiny

TEMPLATE: Final = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL: Final = ("<|pad|>", "<|im_start|>", "<|im_end|>", "<|endoftext|>")
PAD, START, END, OTHER_END = range(4)


def tokenizer(
    characters: str = "abcdefghij .,\n", merges: Sequence[tuple[str, str]] = (), template: str = TEMPLATE
) -> Any:
    """A byte-level BPE of printable ASCII: with ``merges``, given in bytes as they are spelled in vocabularies."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = dict.fromkeys([*characters, *(chr(code) for code in range(32, 127)), "\n"])
    spelled = [letter.replace(" ", "Ġ").replace("\n", "Ċ") for letter in letters]
    vocabulary = dict.fromkeys([*SPECIAL, *spelled, *("".join(pair) for pair in merges)])
    made = Tokenizer(models.BPE({token: at for at, token in enumerate(vocabulary)}, list(merges)))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token=SPECIAL[PAD],
        eos_token=SPECIAL[END],
        extra_special_tokens=list(SPECIAL),
        chat_template=template,
        model_max_length=512,
    )


def save(folder: Path, *, template: str = TEMPLATE, positions: int = 512, **overrides: Any) -> Path:
    """Saves a tiny Llama with that tokenizer, which ends its texts by either of two end tokens."""
    import transformers

    own = tokenizer(template=template)
    special = {"bos_token_id": START, "eos_token_id": END, "vocab_size": len(own)}
    tiny.save(folder, "llama", head="CausalLM", max_position_embeddings=positions, **{**special, **overrides})
    own.save_pretrained(folder)
    config = transformers.GenerationConfig.from_pretrained(folder)
    config.update(eos_token_id=[END, OTHER_END], pad_token_id=PAD)
    config.save_pretrained(folder)
    return folder


#: No special token within a text but those that end it.
BIAS: Final = {str(PAD): -100.0, str(START): -100.0}


class Watched(chats.OneByOne):
    """Keeps the tokens of every prompt and of what was written behind it."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        self.seen: list[tuple[list[int], list[int]]] = []

    def _write(self, row: Row) -> Any:
        written = super()._write(row)
        self.seen.append((row.prompt.ids.tolist(), np.asarray(row.ids).tolist()))
        return written


def messages(*texts: str, system: str | None = None) -> list[Mapping[str, str]]:
    """What a user says, one turn after the other."""
    head = [] if system is None else [{"role": "system", "content": system}]
    return [*head, *({"role": "user", "content": text} for text in texts)]
