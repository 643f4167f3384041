"""Two structs of each row, an old one and a new one → what differs, in numbers that Spark sums. Runs on the driver.

Nothing of the rows comes to the driver but sums, and labels where the model has fixed ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from engine.schema import TaskSchema
from jobs import yardsticks

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

#: The columns of the two structs.
OLD: Final = "__embercast_old"
NEW: Final = "__embercast_new"
#: Changes of a label that are told one by one.
_MOVES: Final = 10


@dataclass(frozen=True, kw_only=True)
class Gap:
    """How far numbers are from those before.

    Args:
        of: which number; ``scores`` stands for the largest difference of a row between the scores of one label.
        rows: that have both.
        mean, largest: of the absolute differences; None where no row has both.
    """

    of: str
    rows: int
    mean: float | None
    largest: float | None


@dataclass(frozen=True, kw_only=True)
class Cosine:
    """How alike vectors are: 1 in one direction, 0 at a right angle.

    Args:
        rows: whose vectors have the same length in both.
        mean: of the rows, of several vectors in a row their mean; least: of all vectors. None where there is no row.
    """

    rows: int
    mean: float | None
    least: float | None


@dataclass(frozen=True, kw_only=True)
class Move:
    """Rows whose label was ``old`` and is ``new``."""

    old: str | None
    new: str | None
    rows: int


@dataclass(frozen=True, kw_only=True)
class Differences:
    """What differs between two scorings of the same rows.

    Args:
        rows: scored by both; answered: of these, rows without an error in either.
        old_failed, new_failed: failed rows by code.
        words: what rows are called the same by (labels, texts, …); None where a struct has no word.
        other: answered rows in which these differ.
        moves: the most frequent changes of a label; none where rows bring their own labels.
        gaps: of scores, or of other numbers where the words are the same.
        cosine: of a task that gives vectors.
    """

    rows: int
    answered: int
    old_failed: Mapping[str, int]
    new_failed: Mapping[str, int]
    words: str | None
    other: int
    moves: tuple[Move, ...] = ()
    gaps: tuple[Gap, ...] = ()
    cosine: Cosine | None = None


def differences(rows: DataFrame, *, task: str, gives: TaskSchema, own_labels: bool = False) -> Differences:
    """Compares the columns ``OLD`` and ``NEW``, structs of one task.

    Args:
        rows: that both scored; read twice at most.
        task: that scored them; gives: its schema.
        own_labels: whether rows bring their labels, which are then content of theirs and not told.
    """
    said, numbers = yardsticks.words(task, gives), yardsticks.numbers(task, gives)
    groups = _groups(rows, said and said[1], list(numbers.values()), yardsticks.cosines(task, gives))
    both = next((group for group in groups if group["old"] is None and group["new"] is None), None)
    old_failed, new_failed = (_failed(groups, side) for side in ("old", "new"))
    total = sum(group["rows"] for group in groups)
    words = None if said is None else said[0]
    if both is None:
        return Differences(rows=total, answered=0, old_failed=old_failed, new_failed=new_failed, words=words, other=0)
    return Differences(
        rows=total,
        answered=both["rows"],
        old_failed=old_failed,
        new_failed=new_failed,
        words=words,
        other=both["other"],
        moves=_moves(rows) if words == "labels" and both["other"] and not own_labels else (),
        gaps=tuple(Gap(of=name, **both[f"gap{i}"].asDict()) for i, name in enumerate(numbers)),
        cosine=Cosine(**both["cosine"].asDict()) if "cosine" in both else None,
    )


def _groups(rows: DataFrame, same: str | None, gaps: Sequence[str], cosines: str | None) -> list[Row]:
    """Sums for each pair of error codes, null for none: as many rows as there are pairs."""
    from pyspark.sql import functions as f

    def column(sql: str, name: str) -> Any:
        return f.expr(sql.format(OLD, NEW)).alias(name)

    measured = rows.select(
        f.col(f"{OLD}.error.code").alias("old"),
        f.col(f"{NEW}.error.code").alias("new"),
        column("false" if same is None else f"NOT ({same})", "other"),
        *(column(sql, f"gap{i}") for i, sql in enumerate(gaps)),
        *([column(cosines, "cosines")] if cosines else []),
    )
    sums = [f.count("*").alias("rows"), f.count_if("other").alias("other")]
    sums += [_sums(f"gap{i}", f"gap{i}", "max", "largest").alias(f"gap{i}") for i in range(len(gaps))]
    if cosines:
        known = "filter(cosines, x -> x IS NOT NULL)"
        mean = f"try_divide(aggregate({known}, 0D, (total, x) -> total + x), size({known}))"
        sums.append(_sums(mean, "array_min(cosines)", "min", "least").alias("cosine"))
    return list(measured.groupBy("old", "new").agg(*sums).collect())


def _sums(value: str, extreme: str, which: str, name: str) -> Any:
    from pyspark.sql import functions as f

    return f.expr(f"struct(count({value}) AS rows, avg({value}) AS mean, {which}({extreme}) AS {name})")


def _failed(groups: Sequence[Row], side: str) -> dict[str, int]:
    codes = sorted({group[side] for group in groups if group[side] is not None})
    return {code: sum(group["rows"] for group in groups if group[side] == code) for code in codes}


def _moves(rows: DataFrame) -> tuple[Move, ...]:
    answered = rows.where(f"{OLD}.error.code IS NULL AND {NEW}.error.code IS NULL")
    changed = answered.where(f"NOT ({OLD}.label <=> {NEW}.label)").selectExpr(f"{OLD}.label old", f"{NEW}.label new")
    most = changed.groupBy("old", "new").count().orderBy("count", "old", "new", ascending=[False, True, True])
    return tuple(Move(old=row["old"], new=row["new"], rows=row["count"]) for row in most.limit(_MOVES).collect())
