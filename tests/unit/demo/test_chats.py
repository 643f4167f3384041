from __future__ import annotations

import json

import pytest

from demo import __main__ as demonstration
from demo import chats
from demo.place import ROOT


def test_questions_are_short_and_distinct() -> None:
    made = chats.read()
    assert [question.chat_id for question in made] == [f"q{i:02d}" for i in range(1, 25)]
    assert len({question.question for question in made}) == 24
    assert all(6 <= len(question.question.split()) <= 20 for question in made)
    assert all(question.question == question.question.strip() for question in made)
    assert len({question.topic for question in made}) > 5


def test_a_tickets_columns_are_those_of_its_schema() -> None:
    yaml = pytest.importorskip("yaml")
    job = yaml.safe_load((ROOT / demonstration.TICKETS).read_text(encoding="utf-8"))
    schema = job["params"]["response_format"]["json_schema"]["schema"]
    columns = [column.split()[0] for column in chats._TICKET.split(", ")]
    assert columns == schema["required"] == [*schema["properties"]]
    assert json.dumps(schema)
