"""llm/v1/chat: the answer of a language model to the messages of a conversation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.batching import Failures, Index
from engine.chat.answers import Answer, Answers
from engine.chat.continued import plain
from engine.chat.control import prompt_ids
from engine.chat.decided import Decided, Decider
from engine.chat.fit import fitted
from engine.chat.messages import Message
from engine.chat.names import answer_id, random_keys
from engine.chat.own import Own
from engine.chat.params import ChatParams
from engine.chat.request import BY_ROW, FIXED
from engine.chat.rows import Asked, Rows
from engine.chat.template import Template
from engine.chat.turns import Conversation, Rolled, opening
from engine.errors import RowError
from engine.generation.backend import Prompt, Result, Written, nothing
from engine.models.folder import read_json
from engine.models.load import LoadedModel
from engine.models.manifest import Manifest
from engine.options import Column
from engine.schema import schema_of
from engine.tasks.base import Encoded, Task
from engine.tasks.params import parse_params

#: Parameters that decide whether tokens are drawn.
_CHANCE: Final = ("temperature", "top_k", "top_p", "min_p")
_NO_TOKENS: Final = "expected messages that the template makes a prompt of, it makes no token of these"


@dataclass(frozen=True)
class Chats:
    """What ``forward`` and ``decode`` read.

    Args:
        rows: what each row asks for; None for one that can't be answered.
        prompts: of each item, its id being the item's number.
        truncated: bool [rows], whether a prompt was cut.
    """

    rows: list[Asked | None]
    prompts: list[Prompt]
    truncated: Index


class Chat(Task):
    """Chats with a causal language model.

    An item is a text to write: ``n`` of a row. All of a window go to the backend at once, whatever their parameters.
    """

    name = "llm/v1/chat"
    Params = ChatParams
    auto_class = "AutoModelForCausalLM"
    architecture = ("ForCausalLM", "LMHeadModel")
    backends = ("transformers", "vllm")
    spreads = True
    by_row = BY_ROW
    fixed = FIXED
    manifest: Manifest

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.model = loaded.model
        self.tokenizer = loaded.tokenizer
        self.manifest = loaded.manifest
        self.template = Template(self.tokenizer)
        self.decider = Decider(self.model, self.tokenizer, Own.of(self.model, self.tokenizer, self.manifest.max_length))

    @classmethod
    def draws(cls, params: Mapping[str, Any], bundle: Path) -> bool:
        if any(isinstance(params.get(name), Column) for name in _CHANCE) or params.get("strings") == "json":
            return True
        asked = parse_params(cls.name, params).samples
        return bool(read_json(bundle / "generation_config.json").get("do_sample")) if asked is None else bool(asked)

    @cached_property
    def answers(self) -> Answers:
        """Makes structs, with the model's name as the driver knows it, else the start of its bundle's digest."""
        return Answers(self.model, self.tokenizer, self.known_as or self.manifest.digest[:12])

    def ready(self, params: Any) -> None:
        self.template.check(params)

    def encode(self, inputs: Mapping[str, pa.Array], params: ChatParams) -> Encoded:
        read = Rows(self.name, params, self.decider).read(inputs)
        ids, failures = self._tokens(read)
        truncated = np.zeros(len(read), bool)
        for row, asked in enumerate(read):
            if not isinstance(asked, RowError) and row not in failures:
                try:
                    truncated[row] = self._fit(asked, ids, row)
                except RowError as error:
                    failures[row] = error
        rows = [None if at in failures or isinstance(one, RowError) else one for at, one in enumerate(read)]
        return self._items(rows, ids, failures, truncated)

    def _tokens(self, read: Sequence[Asked | RowError]) -> tuple[dict[int, Index], Failures]:
        """The prompt of each row, tokenized in one call; and the rows that have none."""
        failures: Failures = {}
        texts: dict[int, str] = {}
        for row, asked in enumerate(read):
            try:
                if isinstance(asked, RowError):
                    raise asked
                texts[row] = self.template(opening(asked), asked.decided.params)
            except RowError as error:
                failures[row] = error
        made = prompt_ids(self.tokenizer, list(texts.values()))
        return dict(zip(texts, made, strict=True)), failures

    def _fit(self, asked: Asked, ids: dict[int, Index], row: int) -> bool:
        """Whether a row's prompt had to be cut, which is done in ``ids``."""
        decided, found = asked.decided, ids[row]
        if not len(found):
            raise RowError("encode_failed", _NO_TOKENS)
        if decided.room is None or len(found) <= decided.room:
            return False
        again = partial(self._again, params=decided.params)
        how = decided.params.long_prompt
        ids[row] = fitted(opening(asked), found, decided.room, how, again, self.tokenizer)
        return True

    def _again(self, messages: list[Message], params: ChatParams) -> Index:
        return plain(self.tokenizer, self.template(messages, params))

    def _items(self, rows: list[Asked | None], ids: Mapping[int, Index], failures: Failures, truncated: Any) -> Encoded:
        prompts: list[Prompt] = []
        owner: list[int] = []
        for row, asked in enumerate(rows):
            if asked is None:
                continue
            decoding = asked.decided.after(len(ids[row]))
            for key in random_keys(asked):
                prompts.append(Prompt(len(prompts), ids[row], decoding, key))
                owner.append(row)
        return Encoded(
            rows=len(rows),
            lengths=np.array([len(prompt.ids) for prompt in prompts], np.int32),
            owner=np.array(owner, np.int64),
            data=Chats(rows, prompts, truncated),
            failures=failures,
            cost=np.zeros(len(prompts), np.int64),
            written=np.zeros(len(prompts), np.int64),
        )

    def forward(self, encoded: Encoded, items: Index) -> list[Any]:
        """For each item what was written, all of it where turns are answered in order, or why nothing was."""
        data: Chats = encoded.data
        owner = dict(zip(items.tolist(), encoded.owner[items].tolist(), strict=True))
        talks = {item: talk for item, row in owner.items() if (talk := self._conversation(data, item, row)) is not None}
        found: dict[int, Written | RowError] = {}
        assert encoded.written is not None
        encoded.written[items] = 0
        for result in self._results([data.prompts[item] for item in owner], talks):
            if isinstance(result, Written):
                found[result.id] = result
                encoded.written[result.id] += len(result.ids)
            else:
                found[result[0]] = result[1]
        return [self._whole(found[item], talks.get(item), data.rows[row]) for item, row in owner.items()]

    def _conversation(self, data: Chats, item: int, row: int) -> Conversation | None:
        """Of a row whose turns are answered in order."""
        asked = data.rows[row]
        assert asked is not None
        if not asked.decided.params.roll_forward:
            return None
        own = {"template": self.template, "tokenizer": self.tokenizer, "answers": self.answers}
        return Conversation(asked, data.prompts[item], cut=bool(data.truncated[row]), **own)

    def _results(self, prompts: Sequence[Prompt], talks: Mapping[int, Conversation]) -> Iterator[Result]:
        """The results of prompts and of those that follow them."""
        from engine.generation.backends import backend_of

        def follow(written: Written) -> Prompt | None:
            talk = talks.get(written.id)
            return None if talk is None else talk.follow(written)

        for one in (one for one in prompts if not one.decoding.max_tokens):
            following: Prompt | None = one
            while following is not None:
                empty = nothing(following)
                yield empty
                following = follow(empty)
        wanted = [one for one in prompts if one.decoding.max_tokens]
        if wanted:
            yield from backend_of(self.loaded).generate(wanted, follow)

    def _whole(
        self, written: Written | RowError, talk: Conversation | None, asked: Asked | None
    ) -> Written | Rolled | RowError:
        """What was written, but an error where it is not of the format that was asked for, or a turn has no answer."""
        assert asked is not None
        found = written if talk is None or isinstance(written, RowError) else talk.result
        if isinstance(found, RowError) or asked.decided.decoding.grammar is None:
            return found
        from engine.structured import check_value

        try:
            for text in found.turns if isinstance(found, Rolled) else (found,):
                check_value(asked.decided.params.response_format or {}, self.answers.text(text, asked.decided.stopping))
        except RowError as error:
            return error
        return found

    def decode(self, encoded: Encoded, rows: Index, outputs: Any, params: Any) -> pa.StructArray:
        data: Chats = encoded.data
        waiting = iter(outputs)
        answers = [self._answer(data, row, waiting) for row in rows.tolist()]
        return self.answers.structs(answers, schema_of(self.name).fields)

    def _answer(self, data: Chats, row: int, waiting: Any) -> Answer:
        asked = data.rows[row]
        assert asked is not None
        decided: Decided = asked.decided
        texts = [next(waiting) for _ in range(decided.params.n)]
        rolled = texts[0] if isinstance(texts[0], Rolled) else None
        texts = texts if rolled is None else list(rolled.turns)
        prompt, tools = data.prompts[texts[0].id], bool(decided.params.tools)
        choices = tuple(self.answers.choice(one, decided.stopping, tools=tools, prompt=prompt.ids) for one in texts)
        named, read = answer_id(prompt.key), len(prompt.ids)
        if rolled is None:
            return Answer(named, choices, read, bool(data.truncated[row]))
        return Answer(named, choices[-1:], read, rolled.truncated, turns=choices)
