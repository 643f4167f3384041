"""The chats that are answered: a system prompt that all share, a user's text of a given length, an answer's length.

The texts are the demonstration's reviews, which were written for it: they are on every machine, and the same.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.chat.lengths import lengths

#: About 150 tokens of SmolLM2's.
SYSTEM: Final = (
    "You are the assistant of a shop that sells household goods, electronics and clothes to customers in many "
    "countries. Customers write what they think about a product, or ask for help. Read the whole message before you "
    "answer. Thank them for what they praise, say sorry for what went wrong, and tell them what happens next. Orders "
    "can be returned within thirty days, broken goods are repaired or replaced within two years, and refunds take "
    "about five working days. Never promise a date for a delivery, never ask for a password or the number of a card, "
    "and send customers who want to speak to a person to the contact page. Write in plain English, in full sentences, "
    "without lists and without emojis, and stay friendly whatever the customer says."
)


@dataclass(frozen=True)
class Row:
    """A chat.

    Args:
        user: what the user says.
        ids: of the whole prompt, by the model's chat template.
        answer: tokens that every way writes, not one more or less.
    """

    user: str
    ids: list[int]
    answer: int


def rows(count: int, tokenizer: Any, *, seed: int = 0) -> list[Row]:
    """``count`` chats whose lengths are those of ``benchmarks.chat.lengths``."""
    words = _words(seed)
    made = []
    for user, answer in lengths(count, seed=seed):
        text = _text(words, user, tokenizer)
        made.append(Row(text, prompt(text, tokenizer), answer))
    return made


def prompt(user: str, tokenizer: Any) -> list[int]:
    """The tokens of a chat's prompt: the system's message, the user's, and the start of the answer."""
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": user}]
    return list(tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"])


def common(made: Sequence[Row]) -> int:
    """Tokens that all prompts start with."""
    first, last = min(row.ids for row in made), max(row.ids for row in made)
    return next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))


def write(made: Sequence[Row], path: Path) -> Path:
    """As JSON; returns the path."""
    path.write_text(json.dumps([asdict(row) for row in made]), encoding="utf-8")
    return path


def read(path: str | Path) -> list[Row]:
    """What ``write`` wrote."""
    return [Row(**row) for row in json.loads(Path(path).read_text(encoding="utf-8"))]


def _text(words: Iterator[str], tokens: int, tokenizer: Any) -> str:
    """Words until there are so many tokens: a word has the same ones wherever it stands."""
    found: list[str] = []
    while tokens > 0:
        found.append(next(words))
        tokens -= len(tokenizer(f" {found[-1]}", add_special_tokens=False).input_ids)
    return " ".join(found)


def _words(seed: int) -> Iterator[str]:
    """The words of the reviews, review by review, without end; each time in another order."""
    from demo.reviews import read as read_reviews

    draw = random.Random(seed)
    bodies = [review.body for review in read_reviews()]
    while True:
        for body in draw.sample(bodies, len(bodies)):
            yield from body.split()
