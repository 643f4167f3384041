"""What a row's random numbers and its answer's id are made of. Runs in the worker."""

from __future__ import annotations

import hashlib
import json

from engine.chat.rows import Asked
from engine.generation.sampling import keys


def random_keys(asked: Asked) -> list[int]:
    """The key of each text's random numbers: of the seed and the messages, else of the parameters and the messages."""
    return list(keys([_input(asked)], [asked.seed], asked.decided.params))


def answer_id(key: int) -> str:
    """``chatcmpl-`` and 24 hex digits of the first text's key: equal runs give equal ids, and no clock is asked."""
    return f"chatcmpl-{_hex(f'{key:032x}')}"


def call_id(answer: str, choice: int, call: int) -> str:
    """``call_`` and 24 hex digits, of a tool's call in a choice of an answer."""
    return f"call_{_hex(f'{answer}/{choice}/{call}')}"


def _hex(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def _input(asked: Asked) -> str:
    return json.dumps(asked.messages, sort_keys=True)
