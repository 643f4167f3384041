from __future__ import annotations

from demo import __main__ as demonstration
from demo import chats
from demo.place import ROOT
from jobs.definition import load
from udfs.answers import parsed_type


def test_questions_are_short_and_distinct() -> None:
    made = chats.read()
    assert [question.chat_id for question in made] == [f"q{i:02d}" for i in range(1, 25)]
    assert len({question.question for question in made}) == 24
    assert all(6 <= len(question.question.split()) <= 20 for question in made)
    assert all(question.question == question.question.strip() for question in made)
    assert len({question.topic for question in made}) > 5


def test_a_ticket_is_a_typed_column_with_what_the_demonstration_shows() -> None:
    job = load(ROOT / demonstration.TICKETS)
    assert job.sink.parse == "ticket"
    kind = parsed_type(job.params["response_format"])
    assert kind == "STRUCT<department: STRING, urgent: BOOLEAN, summary: STRING>"
