"""What a trial wrote, and what a table may be expected to give from it. Runs on the driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.bounds import Shortened


@dataclass(frozen=True)
class Texts:
    """What a trial wrote.

    Args:
        rows: that were answered, of ``prompt`` tokens together; tried: these, and those that the bound left incomplete.
        texts: of rows that were tried, of ``tokens`` together; cut: of these, those that would have gone on.
        cap: tokens at which they were cut; most: that they may have in a run.
    """

    rows: int
    prompt: int
    tried: int
    texts: int
    cut: int
    tokens: int
    cap: int
    most: int

    @property
    def short(self) -> bool:
        """Whether a run may write longer texts than the trial did."""
        return self.cap < self.most

    @property
    def each(self) -> float | None:
        """Tokens of a text in a run, an estimate; None where none was written.

        Where all ended, their mean. Where some were cut, texts are taken to end with an equal chance at every token,
        which is estimated by how many ended in so many tokens (the maximum-likelihood estimate of a geometric
        distribution from censored observations), and to have ``most`` tokens at most. Where none ended, ``most``.
        """
        if not self.texts:
            return None
        ended = self.texts - self.cut
        if not self.cut:
            return self.tokens / self.texts
        if not ended:
            return float(self.most)
        mean = self.tokens / ended
        return float(mean * (1.0 - (1.0 - 1.0 / max(mean, 1.0)) ** self.most))


def count(results: Sequence[Mapping[str, Any] | None], short: Shortened) -> Texts:
    """What these structs say was written; ``incomplete`` by the trial's bound alone is a text that was cut."""
    rows = prompt = tokens = unfinished = 0
    reasons: list[str] = []
    cuts = short.cap < short.most
    for row in filter(None, results):
        if row["error"]:
            if cuts and row["error"]["code"] == "incomplete":
                reasons.append("length")
                unfinished, tokens = unfinished + 1, tokens + short.cap
            continue
        used = row.get("usage") or row
        rows, prompt, tokens = rows + 1, prompt + used["prompt_tokens"], tokens + used["completion_tokens"]
        reasons += [one["finish_reason"] for one in row.get("turns") or row.get("choices") or [row]]
    cut = sum(reason == "length" for reason in reasons) if cuts else 0
    return Texts(rows, prompt, rows + unfinished, len(reasons), cut, tokens, short.cap, short.most)
