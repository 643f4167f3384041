"""The spine of writing: admit → step → choose → end, until every prompt has its result.

Rows of all lengths run together. One that ends makes room for the next at once; a beginning that prompts share is read
once; prompts are read in pieces beside the rows that write. Runs in the worker.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from collections.abc import Sequence as Many
from typing import Any, Final

import numpy as np

from engine.batching import is_out_of_memory
from engine.continuous.attention import attending
from engine.continuous.lanes import Lanes
from engine.continuous.layout import Layout
from engine.continuous.limits import Limits
from engine.continuous.prefixes import common
from engine.continuous.row import Row, take
from engine.continuous.sequence import Prefix, Sequence
from engine.continuous.step import Step
from engine.errors import RowError, non_finite
from engine.generation.backend import Backend, Follow, Prompt, Result, Written, nothing, rejected
from engine.generation.chooser import Chooser, Chosen
from engine.generation.ending import Ending
from engine.tasks.limits import positions

log = logging.getLogger(__name__)

#: Tokens of a prompt that are read at once at least: where memory runs out even so, the row can't be written.
_LEAST_PIECE: Final = 16
#: Rows with a common beginning that are worth lanes of their own.
_FEW: Final = 8


class Scheduler:
    """Writes the prompts of one call.

    Args:
        model: of transformers, causal.
        layout: of its keys and values.
        limits: how much runs at once.
        choose: logits → tokens.
        ending: whether a row has ended.
        follow: what goes on from a text that was written.
        alone: writes texts that are longer than the layout's ``longest``.
    """

    def __init__(
        self,
        model: Any,
        layout: Layout,
        limits: Limits,
        choose: Chooser,
        ending: Ending,
        follow: Follow | None,
        alone: Backend,
    ) -> None:
        self.model = model
        self.layout = layout
        self.limits = limits
        self.choose = choose
        self.ending = ending
        self.follow = follow
        self.alone = alone
        self.positions = positions(model)
        self.lanes = Lanes(layout, limits.tokens, limits.lane)
        self.most = limits.rows
        self.piece = limits.piece
        self.waiting: deque[Sequence] = deque()
        self.reading: deque[Sequence] = deque()
        self.writing: set[Sequence] = set()
        self.done: list[Result] = []

    def run(self, prompts: Many[Prompt]) -> Iterator[Result]:
        """The result of each, as they end."""
        import torch

        self._queue(prompts)
        while self.waiting or self.reading or self.writing or self.done:
            with torch.inference_mode():
                self._round()
            yield from self.done
            self.done.clear()

    def _round(self) -> None:
        failure = None
        try:
            self._admit()
            if self.reading or self.writing:
                self._step()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            failure = str(error)
        if failure is not None:  # the error itself holds what the step had made
            self._less(failure)

    def _queue(self, prompts: Many[Prompt]) -> None:
        """Rows in the order in which they are admitted: those with a common beginning together, the longest first.

        A row that may write much is begun early, so that it does not write alone at the end.
        """
        prompts = [wanted for prompt in prompts if (wanted := self._wanted(prompt)) is not None]
        rows = [Sequence(Row(prompt), None) for prompt in prompts]
        longest = dict.fromkeys(range(len(rows)), 0)
        group = list(range(len(rows)))
        for one in common([prompt.ids for prompt in prompts]):
            prefix = Prefix(prompts[one.members[0]].ids[: one.length], len(one.members))
            for order, at in enumerate(one.members):
                # Whoever comes first is said to have read it.
                text = Row(prompts[at], cached=one.length if order else 0)
                rows[at] = Sequence(text, None, prefix) if len(one.members) < _FEW else Sequence(text, prefix)
                group[at] = one.members[0]
        for at, row in enumerate(rows):
            longest[group[at]] = max(longest[group[at]], _need(row))
        order_ = sorted(range(len(rows)), key=lambda at: (-longest[group[at]], group[at], -_need(rows[at]), at))
        self.waiting.extend(rows[at] for at in order_)

    def _admit(self) -> None:
        """Rows that wait get places, as long as there is room."""
        while self.waiting and len(self.reading) + len(self.writing) < self.most:
            row = self.waiting[0]
            if (row.shared is None or self._open(row.shared)) and self._place(row):
                self.reading.append(self.waiting.popleft())
                self._begin(row)
            elif self.reading or self.writing:
                return
            elif not self._close(row.shared):
                self._refuse(self.waiting.popleft())

    def _close(self, kept: Prefix | None) -> bool:
        """Gives up all other beginnings, whose rows wait, too; whether there were any."""
        opened = {row.shared for row in self.waiting if row.shared is not None and row.shared.layers} - {kept}
        for prefix in opened:
            self.lanes.close(prefix)
        return bool(opened)

    def _begin(self, row: Sequence) -> None:
        """The beginning that a row shares with few others is copied: a lane of their own would cost every step."""
        if row.begun is not None:
            begun = row.begun
            row.begin()
            self._leave(begun)

    def _leave(self, prefix: Prefix) -> None:
        """A row less needs a beginning; what nobody needs any more is given up."""
        prefix.members -= 1
        if not prefix.members:
            self.lanes.close(prefix)

    def _open(self, prefix: Prefix) -> bool:
        """Reads a prefix, before the first row that begins with it; False where there is no room for it."""
        if not prefix.layers and not self.lanes.open(prefix):
            return False
        while not prefix.ready:
            step = Step([], [(prefix, min(prefix.left, self.piece))], self.layout)
            self._forward(step)
            step.done()
        return True

    @property
    def unfinished(self) -> int:
        """Rows that may want a place."""
        return len(self.waiting) + len(self.reading) + len(self.writing)

    def _place(self, row: Sequence) -> bool:
        return self.lanes.place(row, len(row.ids) + 1, self.unfinished)

    def _refuse(self, row: Sequence) -> None:
        tokens = len(row.row.prompt.ids) + row.row.step
        self._drop(row)
        reason = RowError(
            "out_of_memory",
            f"expected memory for the keys and values of {tokens} tokens and those to come, there is room for "
            f"{self.lanes.room} in all: give the worker more memory, or ask for shorter prompts or answers",
        )
        self.done.append(rejected(row.row.prompt, reason))

    def _step(self) -> None:
        """A token of every row that writes, and pieces of the prompts that are being read."""
        step = Step([lane for lane in self.lanes if lane.writing], self._pieces(), self.layout)
        logits = self._forward(step)
        chosen = self.choose(logits, [row.row for row in step.rows]) if step.rows else None
        step.done()  # not before: where memory runs out for the choice, the whole step is made again
        if chosen is not None:
            self._advance(step.rows, chosen)

    def _pieces(self) -> list[tuple[Sequence | Prefix, int]]:
        """The next tokens of prompts, as many as a step reads beside the rows that write."""
        pieces: list[tuple[Sequence | Prefix, int]] = []
        left = self.piece
        for row in self.reading:
            if left <= 0:
                break
            pieces.append((row, min(row.left, left)))
            left -= row.left
        return pieces

    def _forward(self, step: Step) -> Any:
        """float32 [rows, vocabulary], the logits of the rows of a step."""
        import torch

        ids, positions, wanted = (
            torch.from_numpy(array).to(self.layout.device) for array in (step.ids, step.positions, step.wanted)
        )
        with attending(self.model, step):
            out = self.model(
                input_ids=ids[None],
                position_ids=positions[None],
                use_cache=False,
                logits_to_keep=wanted if len(wanted) else 1,
            )
        return out.logits[0].float()

    def _advance(self, rows: Many[Sequence], chosen: Chosen) -> None:
        """The tokens that were taken; rows that end give their results, those that fill their places get larger."""
        for row in rows:
            if row not in self.writing:
                self.reading.remove(row)
                self.writing.add(row)
                assert row.lane is not None
                row.lane.write(row)
        for at, row in enumerate(rows):
            if chosen.tokens[at] >= 0:
                take(row.row, chosen, at)
        for at, row in enumerate(rows):
            if chosen.tokens[at] < 0:
                self._poisoned(row)
            elif (reason := self.ending(row.row)) is not None:
                self._end(row, row.row.result(reason))
            elif row.lane is not None and row.length == row.lane.capacity:
                self._grow(row, row.length + 1)

    def _poisoned(self, row: Sequence) -> None:
        """Keys and values of a row whose logits are not numbers may be none either: the place's next row has zeros."""
        assert row.lane is not None
        row.lane.clear(row.place, row.length)
        self._drop(row)
        self.done.append(rejected(row.row.prompt, non_finite()))

    def _end(self, row: Sequence, written: Written) -> None:
        following = self._ended(written)
        if following is None:
            self._drop(row)
        else:
            self._go_on(row, following)

    def _ended(self, written: Written) -> Prompt | None:
        """Gives a result. The prompt that goes on from it, where there is one and it has tokens to write."""
        self.done.append(written)
        following = None if self.follow is None else self.follow(written)
        return None if following is None else self._wanted(following)

    def _wanted(self, prompt: Prompt) -> Prompt | None:
        """The prompt, where it fits the model and has tokens to write; else its result is given."""
        if self.positions is not None and len(prompt.ids) + prompt.decoding.max_tokens > self.positions:
            reason = f"expected at most {self.positions} tokens of prompt and answer, the model's positions"
            self.done.append(rejected(prompt, RowError("too_long", f"{reason}: shorten one of them")))
            return None
        if not prompt.decoding.max_tokens:
            return self._ended(nothing(prompt))
        if self.layout.longest is not None and len(prompt.ids) + prompt.decoding.max_tokens > self.layout.longest:
            self.done.extend(self.alone.generate([prompt], self.follow))
            return None
        return prompt

    def _go_on(self, row: Sequence, prompt: Prompt) -> None:
        """The next prompt of a row, whose tokens that are there already stay."""
        there = np.concatenate([row.row.prompt.ids, row.row.ids])[: row.position]
        alike = min(len(there), len(prompt.ids) - 1)
        differ = there[:alike] != prompt.ids[:alike]
        kept = int(differ.argmax()) if differ.any() else alike
        before = 0 if row.prefix is None else len(row.prefix.ids)
        assert row.lane is not None
        if kept < before:
            self._drop(row)
            self.waiting.appendleft(Sequence(Row(prompt), None))
            return
        row.lane.read(row)
        self.writing.discard(row)
        row.row = Row(prompt, cached=kept)
        row.ids, row.length = prompt.ids[before:], kept - before
        if len(row.ids) < row.lane.capacity or self._grow(row, len(row.ids) + 1):
            self.reading.append(row)

    def _grow(self, row: Sequence, tokens: int) -> bool:
        """A larger place; where there is no room the row gives way and is read again later, and it is False."""
        try:
            grown = self.lanes.grow(row, tokens, self.unfinished)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            grown = False
        if not grown:
            self._wait(row)
        return grown

    def _wait(self, row: Sequence) -> None:
        if row.lane is not None:
            self.lanes.leave(row)
        self.writing.discard(row)
        row.back()
        self.waiting.appendleft(row)

    def _less(self, failure: str) -> None:
        """Memory ran out: half of the rows give way and no more run at once from now on; of one, less of its prompt.

        A row that can't be run even so is refused. It was what took the memory: the others run as before it.
        """
        running = sorted([*self.writing, *self.reading], key=lambda row: row.row.step)
        self.most = max(1, len(running) // 2)
        log.warning("memory ran out with %d rows at once: %d from now on (%s)", len(running), self.most, failure)
        for row in running[: max(1, len(running) - self.most)]:
            if row in self.reading:
                self.reading.remove(row)
            self._wait(row)
        if len(running) < 2 and self.piece > _LEAST_PIECE:
            self.piece = max(_LEAST_PIECE, self.piece // 2)
        elif len(running) < 2:
            self._refuse(self.waiting.popleft())
            self.most, self.piece = self.limits.rows, self.limits.piece
        if self.layout.device.startswith("cuda"):
            _give_back()

    def _drop(self, row: Sequence) -> None:
        """A row that is finished leaves, and the beginning that nobody needs any more."""
        if row.lane is not None:
            self.lanes.leave(row)
        self.writing.discard(row)
        if row.shared is not None:
            self._leave(row.shared)


def _need(row: Sequence) -> int:
    return row.row.prompt.decoding.max_tokens


def _give_back() -> None:
    import torch

    torch.cuda.empty_cache()
