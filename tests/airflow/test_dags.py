"""Definitions as DAGs of a real Airflow: how they are scheduled, how runs end, and where secrets are not."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from tests.airflow import tables
from tests.airflow.conftest import SECRET, Ran

pytestmark = [pytest.mark.spark, pytest.mark.timeout(1000)]  # all of it waits for the first one's fixture


def test_a_dag_for_each_definition_that_runs(ran: Ran) -> None:
    assert ran.told["errors"] == {}
    nightly, after = (ran.told["dags"][name] for name in ("reviews_sentiment", "reviews_checked"))
    sink = f"path:{ran.home}/reviews_scored"
    assert (nightly["timetable"], nightly["cron"], nightly["timezone"]) == (
        "CronTriggerTimetable",
        "0 2 * * *",
        "Europe/Berlin",
    )
    assert nightly["tasks"] == {"score": {"retries": 1, "outlets": [sink]}}
    assert after["after"] == [sink]
    assert after["tasks"]["score"]["outlets"] == [f"path:{ran.home}/checked"]
    assert ran.told["next"]["reviews_sentiment"] is not None


def test_what_can_not_run_is_refused_where_it_is_parsed(ran: Ran) -> None:
    ending = ran.home / "dags" / "ends" / "2.yaml"
    assert ran.told["refused"]["variable"] == (
        f"{ending}: schedule.variables: expected a value for ${{var:ds}}, got none; write schedule: {{variables: {{ds: "
        '"{{ ds }}"}}, or variables= of ScoreTask'
    )
    assert "which holds Airflow too: pip install --no-deps --target" in ran.told["refused"]["place"]


def test_nothing_heavy_is_imported(ran: Ran) -> None:
    assert ran.told["heavy"] == []


def test_a_run_that_failed_is_tried_again_and_goes_on(ran: Ran) -> None:
    run = ran.told["runs"]["reviews_sentiment"]
    assert run["state"] == "success"
    [score] = run["tasks"].values()
    assert (score["state"], score["tries"]) == ("success", 2)
    assert "the driver's disk is full" in ran.said

    rows = tables.rows(ran.home / "reviews_scored")
    assert sorted(row["review_id"] for row in rows) == [*range(20)]
    runs = {row["_run_id"]: row["review_id"] // 10 for row in rows}
    assert sorted(runs.values()) == [0, 1]  # the first try's commit, and the second one's

    summary = score["result"]
    assert (summary["job"], summary["rows"], summary["commits"]) == ("reviews_sentiment", 10, 1)
    assert {row["_run_id"] for row in rows if row["review_id"] >= 10} == {summary["run_id"]}
    told = {name: summary[name] for name in ("run_id", "rows", "failed", "sink_version")}
    assert ran.told["events"][f"path:{ran.home}/reviews_scored"] == told


def test_a_run_over_its_budget_is_marked_as_asked(ran: Ran) -> None:
    tasks = ran.told["runs"]["check_and_report"]["tasks"]
    assert {name: (one["state"], one["tries"]) for name, one in tasks.items()} == {
        "check": ("skipped", 1),
        "report": ("skipped", 0),
    }
    summary = tasks["check"]["result"]
    assert (summary["rows"], summary["failed"]) == (20, 1)
    rows = tables.rows(ran.home / "checked")
    assert [row["prediction"]["error"]["code"] for row in rows if row["prediction"]["error"]] == ["too_long"]
    assert len(rows) == 20


@pytest.mark.parametrize(
    ("dag", "state", "tries"),
    [
        ("ends_with_2_fail", "failed", 2),
        ("ends_with_3_fail", "failed", 1),
        ("ends_with_3_succeed", "success", 1),
        ("ends_with_5_fail", "failed", 1),
        ("no_connection", "failed", 1),
        ("driver_elsewhere", "failed", 1),
        ("no_secret", "failed", 1),
    ],
)
def test_how_a_task_ends(ran: Ran, dag: str, state: str, tries: int) -> None:
    [score] = ran.told["runs"][dag]["tasks"].values()
    assert (score["state"], score["tries"]) == (state, tries)
    assert (score["result"] is not None) == dag.startswith("ends_with_3")


@pytest.mark.parametrize(
    "message",
    [
        "ends_with_3: 4 of 10 rows failed, more than errors.max_fraction allows; they are those of scored where x",
        "ends_with_5: a limit of the definition was reached",
        "The conn_id `nobody` isn't defined",
        "expected deploy-mode client for ends_with_3, got cluster for the connection spark_default",
        "expected a value in the login of the connection registry, it is empty",
    ],
)
def test_why_it_ended_is_said(ran: Ran, message: str) -> None:
    assert message in ran.said


def test_secrets_reach_the_run_and_stand_nowhere(ran: Ran) -> None:
    assert len(ran.submitted) == 2 + 1 + 5  # two tries, a check, and those that end at once
    had = {one["password"] for one in ran.submitted if one["name"] != "reviews_checked"}
    assert had == {hashlib.sha256(SECRET.encode()).hexdigest()}
    assert "a careless library says ***" in ran.said

    files = [file for file in ran.home.rglob("*") if file.is_file()]
    assert {"airflow.db", "submitted", "said", "stderr"} <= {file.name for file in files}
    assert {str(file.relative_to(ran.home)) for file in files if SECRET.encode() in file.read_bytes()} == set()


def test_variables_are_filled_by_airflow(ran: Ran) -> None:
    for one in ran.submitted:
        given = [part for part in one["given"] if part.startswith("ds=")]
        assert len(given) == (one["name"] != "reviews_checked")
        assert all(re.fullmatch(r"ds=20\d\d-\d\d-\d\d", part) for part in given)


def test_summaries_are_taken_away(ran: Ran) -> None:
    summaries = [Path(one["given"][one["given"].index("--summary") + 1]) for one in ran.submitted]
    assert len(set(summaries)) == len(ran.submitted)  # each try has its own
    assert not any(path.exists() for path in summaries)
