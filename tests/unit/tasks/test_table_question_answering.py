"""table-question-answering against transformers' own pipeline, one row at a time."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pytest

from engine.errors import UnsupportedTaskError
from engine.scorer import Scorer
from tests import scoring, tiny

#: TAPAS is the only architecture of this task; seeds with which answers differ from row to row.
MODELS: Final[dict[str, dict[str, Any]]] = {
    "aggregating": {"seed": 2},
    "selecting": {
        "seed": 0,
        "num_aggregation_labels": 0,
        "aggregation_labels": None,
        "no_aggregation_label_index": None,
    },
    "perhaps no column": {"seed": 3, "allow_empty_column_selection": True, "reset_position_index_per_cell": False},
}
CELLS: Final = [
    *tiny.WORDS,
    "1",
    "2.5",
    "1984",
    "1,000",
    "5 may 2001",
    "",
    "?",
    "n/a",
    "waterfall",
    "café",
    "東京",
    "😀",
]


def table(rows: int, columns: int, seed: int) -> dict[str, list[str]]:
    draw = random.Random(seed)
    return {f"{draw.choice(tiny.WORDS)} {i}": draw.choices(CELLS, k=rows) for i in range(columns)}


QUESTIONS: Final = [" ".join(random.Random(i).choices(CELLS, k=2 + i)) for i in range(12)]
TABLES: Final = [table(1 + i % 5, 1 + i % 4, i) for i in range(12)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_tapas(tmp_path_factory.mktemp("tapas"), seed=2)


def scorer(folder: Path, **params: Any) -> Scorer:
    return scoring.scorer(folder, params=params, inputs=("question", "table"), batch_tokens=512)


def rows(folder: Path, questions: list[str], tables: list[Any], **params: Any) -> list[Any]:
    texts = [one if isinstance(one, str) else json.dumps(one) for one in tables]
    return scoring.rows(scorer(folder, **params), question=questions, table=texts)


def plain(folder: Path) -> Any:
    from transformers import pipeline

    return pipeline("table-question-answering", str(folder), dtype="float32", device="cpu")


def assert_as_the_pipeline(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found["error"] is None
    assert found["answer"] == expected["answer"]
    assert [(cell["row"], cell["column"]) for cell in found["cells"]] == expected["coordinates"]
    assert [cell["text"] for cell in found["cells"]] == expected["cells"]
    assert found["aggregator"] == expected.get("aggregator")


@pytest.mark.parametrize("name", MODELS)
def test_answers_are_those_of_the_pipeline(tmp_path: Path, name: str) -> None:
    folder = tiny.save_tapas(tmp_path, **MODELS[name])
    alone = plain(folder)
    found = rows(folder, QUESTIONS, TABLES)
    for row, question, table in zip(found, QUESTIONS, TABLES, strict=True):
        assert_as_the_pipeline(row, alone(table=table, query=question))
    assert len({row["answer"] for row in found}) > 6
    assert not any(row["truncated"] for row in found)
    assert len({row["aggregator"] for row in found}) == (1 if name == "selecting" else 2)


def test_padding_makes_no_column_likelier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a longer table a shorter one is padded, and "no column" is the mean of what stands in none."""
    from transformers.models.tapas import modeling_tapas

    seen: list[Any] = []
    compute = modeling_tapas.compute_column_logits
    monkeypatch.setattr(modeling_tapas, "compute_column_logits", lambda *a: seen.append(compute(*a)) or seen[-1])
    folder = tiny.save_tapas(tmp_path, allow_empty_column_selection=True)
    rows(folder, ["how"], [table(1, 2, 1)])
    rows(folder, ["how", "how many"], [table(1, 2, 1), table(6, 4, 2)])
    alone, together = (one.numpy() for one in seen)
    assert len(together) == 2
    np.testing.assert_allclose(together[-1], alone[0], rtol=1e-5, atol=1e-5)


def test_a_cell_has_the_mean_probability_of_its_tokens(folder: Path) -> None:
    import pandas as pd
    from transformers import AutoModelForTableQuestionAnswering, AutoTokenizer

    model = AutoModelForTableQuestionAnswering.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for row, question, columns in zip(rows(folder, QUESTIONS, TABLES), QUESTIONS, TABLES, strict=True):
        inputs = tokenizer(table=pd.DataFrame(columns), queries=question, return_tensors="pt")
        logits = model(**inputs).logits[0].detach()
        types = inputs["token_type_ids"][0]
        for cell in row["cells"]:
            tokens = (types[:, 1] == cell["column"] + 1) & (types[:, 2] == cell["row"] + 1)
            assert cell["score"] == pytest.approx(float(logits[tokens].sigmoid().mean()), abs=1e-5)
            assert cell["score"] > 0.5


def test_a_large_table_is_cut_as_the_pipeline_does_and_flagged(folder: Path) -> None:
    tables = [table(60, 3, 1), table(25, 4, 2), {"long": ["water " * 150, "1"]}, table(3, 3, 3)]
    found = rows(folder, QUESTIONS[:4], tables)
    alone = plain(folder)
    for row, question, one in zip(found, QUESTIONS, tables, strict=False):
        assert_as_the_pipeline(row, alone(table=one, query=question))
    assert [row["truncated"] for row in found] == [True, True, True, False]
    assert [row["tokens"] <= 128 for row in found] == [True] * 4
    errors = [row["error"] for row in rows(folder, QUESTIONS[:4], tables, long_text="error")]
    assert [error and error["code"] for error in errors] == ["too_long", "too_long", "too_long", None]


def test_what_no_model_can_read_costs_its_row(folder: Path) -> None:
    tables = [TABLES[0], table(1, 300, 5), table(1, 126, 6), TABLES[0], table(300, 1, 4)]
    found = rows(folder, ["how", "how", "how many than that", "", "how"], tables)
    assert [row["error"] and row["error"]["code"] for row in found] == [
        None,
        "too_long",
        "too_long",
        "encode_failed",
        None,
    ]
    assert "at most 127 columns" in found[1]["error"]["message"]
    assert (found[4]["truncated"], found[4]["tokens"] <= 128) == (True, True)


def test_more_rows_than_the_model_has_numbers_for(tmp_path: Path) -> None:
    """One short cell a row: 20 would fit into the tokens, the model counts to 7; the rest is cut, not out of range."""
    folder = tiny.save_tapas(tmp_path, type_vocab_sizes=[3, 256, 8, 2, 8, 8, 10])
    numbers = {"how": [str(i % 10) for i in range(20)]}
    [cut], [alike] = rows(folder, ["many"], [numbers]), rows(folder, ["many"], [{"how": numbers["how"][:7]}])
    assert {**cut, "truncated": False} == alike
    assert cut["truncated"]
    [error] = rows(folder, ["many"], [numbers], long_text="error")
    assert error["error"]["code"] == "too_long"


def test_a_question_that_the_tokenizer_would_leave_out_is_an_error(tmp_path: Path) -> None:
    folder = tiny.save_tapas(tmp_path)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "max_question_length": 3}))
    found = rows(folder, ["how many", "how many have been"], [TABLES[0]] * 2)
    assert [row["error"] and row["error"]["code"] for row in found] == [None, "too_long"]
    assert "a question of 1 to 3 tokens" in found[1]["error"]["message"]


def test_structs_and_maps_are_read_like_json(folder: Path) -> None:
    values = [[{"city": "rome", "people": 2.5}, {"city": None, "people": 3.0}], [{"city": "time", "people": None}]]
    struct = pa.list_(pa.struct([("city", pa.string()), ("people", pa.float64())]))
    pairs = [
        [list(row.items()) for row in [{k: None if v is None else str(v) for k, v in r.items()} for r in t]]
        for t in values
    ]
    made = scorer(folder)
    asked = ["how many", "which"]
    expected = scoring.rows(made, question=asked, table=[json.dumps(value) for value in values])
    for column in (pa.array(values, struct), pa.array(pairs, pa.list_(pa.map_(pa.string(), pa.string())))):
        batch = pa.RecordBatch.from_arrays([pa.array(asked), column], ["question", "table"])
        assert [row for one in made.score([batch]) for row in one.result.to_pylist()] == expected


def test_values_that_python_lacks_cost_their_row(folder: Path) -> None:
    names = pa.array([b"city", b"city", b"city"], pa.binary()).view(pa.string())
    cells = pa.array([b"rome", b"caf\xe9", b"time"], pa.binary()).view(pa.string())
    maps = pa.ListArray.from_arrays([0, 1, 2, 3], pa.MapArray.from_arrays([0, 1, 2, 3], names, cells))
    times = pa.array([0, 253_402_300_800, 1]).cast(pa.timestamp("s"))  # the second is of the year 10000
    structs = pa.ListArray.from_arrays([0, 1, 2, 3], pa.StructArray.from_arrays([times], ["when"]))
    made = scorer(folder)
    for column, code in ((maps, "invalid_text"), (structs, "encode_failed")):
        batch = pa.RecordBatch.from_arrays([pa.array(["how many"] * 3), column], ["question", "table"])
        found = [row for one in made.score([batch]) for row in one.result.to_pylist()]
        assert [row["error"] and row["error"]["code"] for row in found] == [None, code, None]


def test_a_model_that_transformers_cannot_run_is_refused(tmp_path: Path) -> None:
    """Its own forward raises without labels where select_one_column is false."""
    with pytest.raises(UnsupportedTaskError, match="select_one_column"):
        scorer(tiny.save_tapas(tmp_path, select_one_column=False))


def test_a_model_that_writes_its_answer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["BartForConditionalGeneration"]}))
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(UnsupportedTaskError, match=r"expected an architecture …TapasForQuestionAnswering .* is Bart"):
        scoring.scorer(tmp_path, task="table-question-answering", inputs=("question", "table"))


def test_a_folder_tells_its_task(folder: Path) -> None:
    assert scorer(folder).task.name == "table-question-answering"


def test_selected_cells_written_out() -> None:
    """Two tables: the mean of a cell's tokens decides, header and question never answer, -10000 overflows nowhere."""
    from engine.tasks.table_question_answering import selected

    # segment, column, row of each token
    places = [(0, 0, 0), (1, 1, 0), (1, 1, 1), (1, 1, 1), (1, 2, 1), (0, 0, 0), (1, 2, 2), (1, 1, 2), (1, 1, 1)]
    types = np.array([[*place, 0, 0, 0, 0] for place in places])
    logits = np.array([9, 9, 3, -1, -1e4, 9, 2, 0.5, -0.1], np.float32)
    owner, row, column, score = selected(logits, types, np.array([0] * 5 + [1] * 4))
    assert (owner.tolist(), row.tolist(), column.tolist()) == ([0, 1, 1], [0, 1, 1], [0, 0, 1])
    np.testing.assert_allclose(score, [0.610758, 0.622459, 0.880797], rtol=1e-5)
