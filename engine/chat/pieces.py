"""Tokens as text and as bytes, for a whole vocabulary. Runs in the worker."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.batching import Index

#: A byte of its own in vocabularies of SentencePiece.
_BYTE: Final = re.compile(r"<0x([0-9A-F]{2})>")


class Pieces:
    """The vocabulary of a tokenizer.

    A token need not be a whole character: its bytes are what it adds to a text, and its text is what they spell, with
    U+FFFD where they spell nothing. A special token is spelled as it is named.

    Args:
        tokenizer: of transformers.
        size: tokens that the model gives logits for; those that the tokenizer does not know have no bytes.
    """

    def __init__(self, tokenizer: Any, size: int) -> None:
        added, letters = set(tokenizer.added_tokens_encoder), _letters() if _byte_level(tokenizer) else {}
        known = tokenizer.get_vocab()
        made = [b""] * max(size, 1 + max(known.values()))
        for piece, token in known.items():
            made[token] = piece.encode() if piece in added else _bytes(piece, letters)
        self.texts = pa.array([one.decode(errors="replace") for one in made], pa.string())
        offsets = np.cumsum([0, *map(len, made)])
        flat = np.frombuffer(b"".join(made), np.uint8).astype(np.int32)
        self.bytes = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(flat))

    def columns(self, ids: Index) -> tuple[pa.Array, pa.Array]:
        """Texts and bytes (list<int32>) of these tokens."""
        taken = pa.array(ids, pa.int64())
        return self.texts.take(taken), self.bytes.take(taken)


def _bytes(piece: str, letters: dict[str, int]) -> bytes:
    if letters and letters.keys() >= set(piece):
        return bytes(letters[letter] for letter in piece)
    found = _BYTE.fullmatch(piece)
    return bytes.fromhex(found[1]) if found else piece.replace("▁", " ").encode()


def _byte_level(tokenizer: Any) -> bool:
    """Whether pieces are spelled in letters that stand for bytes, as GPT-2 and most models after it have it."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    decoder = None if backend is None else backend.decoder
    described = {} if decoder is None else json.loads(decoder.__getstate__())
    return any(one.get("type") == "ByteLevel" for one in (described, *described.get("decoders", ())))


@cache
def _letters() -> dict[str, int]:
    """Letter → byte: bytes that print stand for themselves, the others for the letters from U+0100 on, in order.

    Method: Radford et al., Language Models are Unsupervised Multitask Learners (2019), section 2.2 and its encoder.
    """
    printing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printing]
    return {**{chr(byte): byte for byte in printing}, **{chr(0x100 + at): byte for at, byte in enumerate(others)}}
