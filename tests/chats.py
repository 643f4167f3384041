"""Tiny models with a chat template, a backend that writes one text at a time, and what plain transformers makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
import transformers

from engine.continuous.row import Row
from engine.generation import backends
from engine.generation.backend import Follow, Prompt, Result
from engine.generation.sampling import draw
from engine.generation.stopping import Stopping
from tests import generation

#: Refuses roles that it does not know and two assistants in a row, as real ones do.
TEMPLATE: Final = """\
{%- for message in messages -%}
{%- if message.role not in ["system", "user", "assistant", "tool"] -%}
{{ raise_exception("Only system, user, assistant and tool are roles here.") }}
{%- endif -%}
{%- if not loop.first and message.role == "assistant" and loop.previtem.role == "assistant" -%}
{{ raise_exception("An assistant answers a user.") }}
{%- endif -%}
[CLS] {{ message.role }} {% if mood %}{{ mood }} {% endif %}{{ message.content }} [SEP]
{%- endfor -%}
{%- for tool in tools or [] %} {{ tool.function.name }}{% endfor -%}
{%- if add_generation_prompt %} [CLS] assistant{% endif -%}
"""


def save(
    folder: Path,
    architecture: str = "llama",
    *,
    template: str | None = TEMPLATE,
    positions: int = 256,
    generation_config: Mapping[str, Any] | None = None,
    **overrides: Any,
) -> Path:
    """Saves a tiny model that chats; many tokens end its texts, so that they end at different steps."""
    config = {"eos_token_id": generation.ENDS, **(generation_config or {})}
    generation.save(folder, architecture, generation=config, max_position_embeddings=positions, **overrides)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, model_max_length=positions)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return folder


def user(text: str) -> list[dict[str, Any]]:
    """A conversation of one message."""
    return [{"role": "user", "content": text}]


class Plain:
    """What plain transformers writes: the template applied, then ``generate`` for each conversation alone."""

    def __init__(self, folder: Path) -> None:
        auto = transformers.AutoModelForCausalLM
        self.model = auto.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    def __call__(
        self, messages: Sequence[Mapping[str, Any]], *, template: Mapping[str, Any] | None = None, **arguments: Any
    ) -> tuple[list[int], list[int]]:
        """Tokens of the prompt, and of the text."""
        made = self.tokenizer.apply_chat_template(
            list(messages), add_generation_prompt=True, return_tensors="pt", return_dict=True, **(template or {})
        )
        made.pop("token_type_ids", None)
        found = self.model.generate(**made, pad_token_id=0, **{"do_sample": False, **arguments})
        start = made["input_ids"].shape[1]
        return found[0, :start].tolist(), found[0, start:].tolist()

    def prompt(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Tokens of the prompt."""
        made: list[int] = self.tokenizer.apply_chat_template(
            list(messages), add_generation_prompt=True, return_dict=False
        )
        return made

    def text(self, ids: Sequence[int]) -> str:
        """Of tokens, without special ones."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))

    def logprobs(self, ids: Sequence[int], start: int) -> Any:
        """float32 [steps, vocabulary], of the tokens from ``start``."""
        with torch.no_grad():
            logits = self.model(input_ids=torch.tensor([list(ids)[:-1]])).logits[0, start - 1 :]
        return logits.log_softmax(dim=-1).numpy()


class OneByOne:
    """A backend that computes every step of every text anew."""

    model: Any
    tokenizer: Any

    def __init__(self) -> None:
        self.calls: list[list[Prompt]] = []

    def generate(self, prompts: Sequence[Prompt], follow: Follow | None = None) -> Iterator[Result]:
        self.calls.append(list(prompts))
        for prompt in prompts:
            following: Prompt | None = prompt
            while following is not None:
                written = self._write(Row(following))
                yield written
                following = None if follow is None else follow(written)

    def _write(self, row: Row) -> Any:
        decoding = row.prompt.decoding
        stopping = Stopping(self.tokenizer, None, decoding.stop)
        while row.step < decoding.max_tokens:
            logits = self._logits(row)
            raw = logits.log_softmax(dim=-1)
            token = self._token(logits, row)
            if decoding.top_logprobs is not None:
                top = raw.topk(decoding.top_logprobs)
                row.tell(float(raw[token]), top.indices.numpy().astype(np.int32), top.values.numpy())
            row.append(token, float(raw[token]))
            stopped = any(string in stopping.texts([row.ids])[0] for string in decoding.stop)
            if token in decoding.ends or stopped:
                return row.result("stop")
        return row.result("length")

    def _logits(self, row: Row) -> Any:
        ids = np.concatenate([row.prompt.ids, row.ids])
        with torch.no_grad():
            return self.model(input_ids=torch.from_numpy(ids)[None]).logits[0, -1].float()

    def _token(self, logits: Any, row: Row) -> int:
        decoding, scores = row.prompt.decoding, logits.clone()
        for token, bias in decoding.logit_bias.items():
            scores[token] += bias
        for token in row.ids.tolist():
            scores[token] -= decoding.frequency_penalty
        scores[list(set(row.ids.tolist()))] -= decoding.presence_penalty
        if row.step < decoding.min_tokens:
            scores[list(decoding.ends)] = -torch.inf
        if decoding.temperature is None:
            return int(scores.argmax())
        scores /= decoding.temperature
        if decoding.top_k:
            scores[scores < scores.topk(decoding.top_k).values[-1]] = -torch.inf
        return int(draw(scores[None], torch.tensor([row.uniform], dtype=torch.float64))[0])


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> OneByOne:
    """Lets chats be written by ``OneByOne``, which remembers what it was given."""
    made = OneByOne()

    def backend_of(loaded: Any) -> OneByOne:
        made.model, made.tokenizer = loaded.model, loaded.tokenizer
        return made

    monkeypatch.setattr(backends, "backend_of", backend_of)
    return made
