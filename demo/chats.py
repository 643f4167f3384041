"""The demonstration's questions of customers, written for it, and looks into what was answered."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from demo.tables import read as read_table

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

SOURCE: Final = ".demo/tables/chats"
ANSWERED: Final = ".demo/tables/chats_answered"
TICKETS: Final = ".demo/tables/chats_tickets"

_SCHEMA: Final = "chat_id STRING, topic STRING, question STRING"


@dataclass(frozen=True)
class Question:
    """One line of chats.tsv; ``topic`` is what a person thinks it is about."""

    chat_id: str
    topic: str
    question: str


def read() -> list[Question]:
    """All questions, in the order of the file."""
    with Path(__file__).with_name("chats.tsv").open(encoding="utf-8", newline="") as lines:
        return [Question(**row) for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]


def append(spark: SparkSession, questions: Sequence[Question]) -> None:
    """Adds questions to the source table; the first call makes it."""
    rows = spark.createDataFrame([astuple(question) for question in questions], _SCHEMA)
    rows.coalesce(1).write.format("delta").mode("append").save(SOURCE)


def answers(spark: SparkSession, limit: int) -> list[Row]:
    """The first answers by key: question, text, finish_reason."""
    answered = read_table(spark, ANSWERED).selectExpr("chat_id", "answer.choices[0] choice")
    both = read_table(spark, SOURCE).join(answered, "chat_id").orderBy("chat_id").limit(limit)
    return both.selectExpr("question", "choice.message.content text", "choice.finish_reason").collect()


def usage(spark: SparkSession) -> Row:
    """Over all answers: rows, those with an error (failed), prompt, cached and written tokens."""
    return (
        read_table(spark, ANSWERED)
        .selectExpr(
            "count(*) rows",
            "count(answer.error.code) failed",
            "sum(answer.usage.prompt_tokens) prompt",
            "sum(answer.usage.prompt_tokens_details.cached_tokens) cached",
            "sum(answer.usage.completion_tokens) written",
        )
        .first()
    )


def tickets(spark: SparkSession) -> list[Row]:
    """The tickets that were written, by key: chat_id, question, ticket (a struct with the schema's properties)."""
    written = read_table(spark, TICKETS).where("answer.error IS NULL").select("chat_id", "ticket")
    return read_table(spark, SOURCE).join(written, "chat_id").orderBy("chat_id").drop("topic").collect()
