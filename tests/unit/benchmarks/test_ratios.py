"""Ratios from results made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.text.ratios import agreement, all_ratios, ratios, without_fixed
from benchmarks.text.report import finish, rounded, show
from benchmarks.text.turns import result

RATES = {
    "stock": 80.0,
    "stock-batch32": 90.0,
    "pipeline-udf": 70.0,
    "predict-batch-udf": 60.0,
    "engine": 360.0,
    "engine-float32": 180.0,
    "reference-threads": 300.0,
    "reference-processes": 400.0,
}


def test_ratios_of_hand_made_rates() -> None:
    assert ratios(RATES) == {
        "engine_to_stock": 4.5,
        "engine_to_best_rival": 4.0,
        "engine_to_reference": 0.9,  # of the better one
        "engine_float32_to_stock": 2.25,
        "engine_to_engine_float32": 2.0,
    }


def test_the_model_logged_here_is_compared_with_stock() -> None:
    assert ratios({"stock": 80.0, "stock-logged-here": 360.0}) == {"stock_logged_here_to_stock": 4.5}
    assert "best_rival" not in str(ratios({"engine": 2.0, "stock-logged-here": 1.0}))


def test_the_dtype_and_the_rest_multiply_to_the_gain() -> None:
    found = ratios(RATES)
    assert found["engine_float32_to_stock"] * found["engine_to_engine_float32"] == found["engine_to_stock"]


def test_ways_that_were_not_measured_have_no_ratio() -> None:
    assert ratios({"engine": 2.0, "stock": 1.0}) == {"engine_to_stock": 2.0, "engine_to_best_rival": 2.0}
    assert ratios({"engine": 2.0}) == {}


def test_a_result_is_the_median_with_its_spread() -> None:
    passes = [{"s": s, "core_s": 2 * s, "fixed_s": s / 10} for s in (2.0, 1.0, 4.0)]
    found = result(100, passes, {"cold_s": 9.0})
    assert found == {
        "rows": 100,
        "rows_per_s": 50.0,
        "spread": [25.0, 100.0],
        "rows_per_core_s": 25.0,
        "runs_s": [2.0, 1.0, 4.0],
        "fixed_s": 0.1,
        "cold_s": 9.0,
    }


def test_fixed_seconds_are_taken_from_the_pass() -> None:
    ways = {
        "stock": {"rows": 200, "rows_per_s": 20.0, "fixed_s": 2.0},
        "engine": {"rows": 9, "rows_per_s": 3, "fixed_s": 0},
    }
    assert without_fixed(ways) == {"stock": 25.0, "engine": 3.0}
    assert without_fixed({"short": {"rows": 10, "rows_per_s": 5.0, "fixed_s": 2.0}}) == {}


def test_agreement_counts_rows_that_both_scored() -> None:
    labels = {"stock": {0: "a", 1: "b"}, "engine": {0: "a", 1: "a", 2: "b"}}
    assert agreement(labels, "stock") == {"stock": 1.0, "engine": 0.5}


def report() -> dict[str, object]:
    way = {
        "rows": 1000,
        "rows_per_s": 123.456,
        "spread": [120.0, 125.0],
        "rows_per_core_s": 60.0,
        "fixed_s": 1.0,
        "cold_s": 9.87654,
        "first_row_s": 5.0,
    }
    ways = {"engine": way, "stock": {**way, "rows_per_s": 61.728}}
    measured = {"ways": ways, "ratios": all_ratios(ways)}
    machine = {"cpu": "a processor", "cores": 2, "bf16_flag": None}
    return {"machine": machine, "lengths": {"27": measured}, "repeated": {"length": 27, **measured}}


def test_the_last_line_and_the_saved_file_are_the_same_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "results" / "here.json"
    show(report())
    finish(report(), saved)
    lines = capsys.readouterr().out.splitlines()
    last = json.loads(lines[-1])
    assert last == json.loads(saved.read_text(encoding="utf-8"))
    assert last["lengths"]["27"]["ways"]["engine"]["rows_per_s"] == 123.5
    assert last["lengths"]["27"]["ratios"]["engine_to_stock"] == 2.0
    assert any("2.00  engine / stock spark_udf; by processor time 1.00" in line for line in lines)
    assert any("engine" in line and "123.5" in line and "120 to 125" in line for line in lines)


def test_figures_have_four_digits() -> None:
    assert rounded({"a": [1234.56, 0.00012345], "b": 7}) == {"a": [1235.0, 0.0001234], "b": 7}
