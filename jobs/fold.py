"""Rows that are turns, folded into conversations: one row each, with its messages. Runs on the driver.

A conversation is answered under its key and its last turn. Whatever new turn the stream brings, the conversation is
read whole from the table as it is then, so that it does not matter over which files or micro-batches its turns are
spread; and it is left out where it was answered under that last turn already, so that it is answered once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any, Final

from engine.errors import SchemaError
from jobs.sections import MESSAGES, Fold, Source

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: Of turns with one number: who asks stands before who answers, as in tables that number exchanges.
_RANKS: Final = {"system": 0, "developer": 0, "user": 1, "assistant": 2}
_OTHERS: Final = 3
_ANSWERED: Final = "__embercast_answered_"


def folded(turns: DataFrame, source: Source, fold: Fold) -> DataFrame:
    """A row for each conversation that waits for an answer, which one that ends with the assistant's turn does not.

    Its columns: the key, the last turn's ``order``, ``messages``, and every other column as the last turn has it.
    Turns with one ``order`` stand by role (system, user, assistant, others), then by content; a turn that is there
    twice counts once, one without ``order`` comes first, and one without a key belongs to no conversation.

    Raises SchemaError where columns that the fold names are missing.
    """
    from pyspark.sql import functions as f

    _check(turns, fold)
    place = f.struct(_column(fold.order).alias("order"), _rank(fold).alias("rank"), _column(fold.role).alias("role"))
    fields = [_column(column).alias(name) for name, column in fold.fields.items()]
    turn = f.struct(_column(fold.order).alias("order"), _rank(fold).alias("rank"), *fields)
    messages = f.transform(
        f.array_distinct(f.sort_array(f.collect_list(turn))),
        lambda one: f.struct(*(one[name].alias(name) for name in fold.fields)),
    )
    others = [name for name in turns.columns if name not in (*source.key, fold.order, MESSAGES)]
    last = [f.max_by(_column(name), place if name == fold.role else turn).alias(name) for name in others]
    whole = turns.where(reduce(and_, (_column(name).isNotNull() for name in source.key)))
    found = whole.groupBy(*map(_column, source.key)).agg(
        f.max(_column(fold.order)).alias(fold.order), messages.alias(MESSAGES), *last
    )
    return found.where(~_column(fold.role).eqNullSafe("assistant"))


def touched(turns: DataFrame, batch: DataFrame, key: Sequence[str]) -> DataFrame:
    """All turns of the conversations of which ``batch`` holds a turn."""
    return turns.join(batch.select(*map(_column, key)).distinct(), list(key), "left_semi")


def unanswered(conversations: DataFrame, answers: DataFrame | None, key: Sequence[str]) -> DataFrame:
    """The conversations that have no answer under their key and last turn.

    Args:
        answers: rows with the columns of ``key``; None where there is none yet.
        key: of conversations, the last turn's ``order`` among it, which may be null.
    """
    if answers is None:
        return conversations
    there = answers.select(*(_column(name).alias(_ANSWERED + name) for name in key))
    same = reduce(and_, (_column(name).eqNullSafe(_column(_ANSWERED + name)) for name in key))
    return conversations.join(there, same, "left_anti")


def _rank(fold: Fold) -> Any:
    from pyspark.sql import functions as f

    ranked = [f.when(_column(fold.role) == role, rank) for role, rank in _RANKS.items()]
    return f.coalesce(*ranked, f.lit(_OTHERS))


def _check(turns: DataFrame, fold: Fold) -> None:
    missing = [name for name in (fold.order, *fold.fields.values()) if name not in turns.columns]
    if missing:
        raise SchemaError(
            f"source.fold: expected columns {', '.join(missing)} in the source, it has {', '.join(turns.columns)}; "
            "name those that hold the order, role and content of a turn"
        )


def _column(name: str) -> Any:
    from pyspark.sql import functions as f

    return f.col(f"`{name}`")
