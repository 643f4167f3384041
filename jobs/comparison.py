"""Two versions of a model compared on rows of a job, for people to decide by. Runs on the driver."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from jobs.differences import Cosine, Differences
from jobs.references import mask
from jobs.summary import Planned, duration, rate

if TYPE_CHECKING:
    from rich.console import Group


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two versions.

    Args:
        version: of the registered model; digest, dtype: of its bundle.
        rescore: what scoring every row of the source by it should take, from the rows that were compared; price: of
            that, where ``compute.price_per_hour`` is given.
        written: tokens of the texts that it wrote, of a row in the mean; 0 for a task that writes none.
    """

    version: str
    digest: str
    dtype: str
    rescore: Planned
    price: float | None
    written: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two versions of a model on the same rows, and what putting one in the other's place would do.

    Args:
        job, identity, task: whose rows they are.
        alias: as the definition names the model.
        old: that the alias names; new: that may take its place.
        differences: between their answers.
        on_change: what becomes of the rows that were scored before; run: what the run would score, and take; price: of
            it, where ``compute.price_per_hour`` is given.
        refusal: why the run would be refused; None where it would not.
    """

    job: str
    identity: str
    task: str
    alias: str
    old: Side
    new: Side
    differences: Differences
    on_change: str
    run: Planned
    price: float | None = None
    refusal: str | None = None

    @property
    def question(self) -> str:
        """What a person says yes or no to."""
        scored = f"score {self.run.rows:,} rows by it ({self.on_change})" if self.run.rows else "score no row"
        return f"Point {self.alias} at version {self.new.version} and {scored}?"

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return asdict(self)

    def __rich__(self) -> Group:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        sides = [f"version {side.version}" for side in (self.old, self.new)]
        shown = Table("", *sides, title=Text(f"{self.job} ({self.identity}): {self.alias}"), title_justify="left")
        for name, *texts in self.sides():
            shown.add_row(name, *map(Text, texts))  # Text: brackets in values are no markup
        differs = Table(show_header=False)
        for name, text in self.lines():
            differs.add_row(name, Text(text))
        warning = [] if self.refused is None else [Text(f"warning: {self.refused}")]
        return Group(shown, differs, *warning)

    @property
    def refused(self) -> str | None:
        """That the run would be refused, and why."""
        return None if self.refusal is None else mask(f"a run would be refused: {self.refusal}")

    def sides(self) -> Iterator[tuple[str, str, str]]:
        """Name, and what the old and the new version have of it."""
        old, new, found = self.old, self.new, self.differences
        yield "bundle", f"{old.digest[:12]}, {old.dtype}", f"{new.digest[:12]}, {new.dtype}"
        yield "failed", _failed(found.old_failed), _failed(found.new_failed)
        yield "rows/s", rate(old.rescore.rows_per_s), rate(new.rescore.rows_per_s)
        if old.written or new.written:
            yield "output tokens a row", rate(old.written), rate(new.written)
        yield f"all {old.rescore.rows:,} rows", duration(old.rescore.seconds), duration(new.rescore.seconds)
        if old.price is not None and new.price is not None:
            yield "their price", f"{old.price:,.2f}", f"{new.price:,.2f}"

    def lines(self) -> Iterator[tuple[str, str]]:
        """Name and words of each difference, and what a run would do."""
        found = self.differences
        yield (
            "rows compared",
            f"{found.rows:,} of {self.old.rescore.rows:,}, {found.answered:,} without an error in either",
        )
        if found.words is not None and found.answered:
            share = found.other / found.answered
            yield found.words, f"{found.other:,} of {found.answered:,} are others ({share:.2%})"
        for move in found.moves:
            yield "", f"{move.old} → {move.new}: {move.rows:,}"
        if found.moves and (rest := found.other - sum(move.rows for move in found.moves)):
            yield "", f"others: {rest:,}"
        for gap in found.gaps:
            if gap.mean is not None and gap.largest is not None:
                yield (
                    gap.of,
                    f"differ by {gap.mean:.2g} in the mean, by {gap.largest:.2g} at most, in {gap.rows:,} rows",
                )
        if found.cosine is not None:
            yield "cosine", _alike(found.cosine, found.answered)
        yield "on_change", self._run()

    def _run(self) -> str:
        cost = "" if self.price is None else f", price {self.price:,.2f}"
        return f"{self.on_change}: {self.run.rows:,} rows to score, {duration(self.run.seconds)}{cost}"


def _failed(codes: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {code}" for code, count in codes.items()) or "0"


def _alike(found: Cosine, answered: int) -> str:
    if found.mean is None or found.least is None:
        return f"none: the vectors of {answered:,} rows have other lengths"
    rest = answered - found.rows
    others = f"; {rest:,} rows have vectors of other lengths" if rest else ""
    return f"{found.mean:.4f} in the mean, {found.least:.4f} at least, in {found.rows:,} rows{others}"
