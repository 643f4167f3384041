"""The demonstration from its first line to its last, as `make demo` runs it, in a copy that leaves .demo alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import homes

ROOT = Path(__file__).resolve().parents[2]

#: Of the whole demonstration, which takes two to seven minutes on two cores.
_LIMIT_S = 1200

pytestmark = [pytest.mark.spark, pytest.mark.weights, pytest.mark.timeout(_LIMIT_S + 60)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demonstration and its jobs; the engine is the installed one."""
    root = tmp_path_factory.mktemp("demo")
    shutil.copytree(ROOT / "demo", root / "demo", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "conf", root / "conf")
    return root


@pytest.fixture(scope="module")
def shown(root: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the demonstration prints, on one line a paragraph; a failure shows both of its streams."""
    (root / ".demo" / "tables" / "reviews").mkdir(parents=True)  # what an earlier run left
    (root / ".demo" / "tables" / "reviews" / "old.parquet").write_text("not a table")
    command = [sys.executable, "-m", "demo"]
    with homes.home(tmp_path_factory.mktemp("cache")):
        env = {**os.environ, "COLUMNS": "160"}
        done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return re.sub(r"\s+", " ", done.stdout)


def test_all_models_are_registered(shown: str) -> None:
    assert "models:/sentiment@champion is version 1" in shown
    assert "models:/minilm@champion is version 1" in shown
    assert "models:/whisper@champion is version 1" in shown
    assert "models:/smollm2@champion is version 1" in shown


def test_commands_can_be_typed_again(shown: str) -> None:
    assert "$ embercast run conf/jobs/reviews.yaml" in shown
    assert "$ embercast run conf/jobs/reviews_embeddings.yaml" in shown
    assert "$ embercast run conf/jobs/calls.yaml" in shown
    assert "$ embercast run conf/jobs/chats.yaml" in shown
    assert "$ embercast run conf/jobs/chats_tickets.yaml" in shown


def test_labels_are_mostly_right(shown: str) -> None:
    first, second = re.findall(r"(\d+) of (\d+) labels are right", shown)
    assert (first[1], second[1]) == ("170", "210")
    assert int(first[0]) / 170 >= 0.85
    assert int(second[0]) / 210 >= 0.85


def test_second_run_scores_only_the_new_rows(shown: str) -> None:
    table = shown.partition("The sink, by run")[2].partition("labels are right")[0]
    assert re.findall(r"[0-9a-f]{16}-\S+ │ (\d+) │ 1 │", table) == ["170", "40"]


def test_neighbours_are_of_the_same_kind(shown: str) -> None:
    product = re.search(r"nearest to r\d+ \(([^)]+)\)", shown)
    assert product is not None
    neighbours = re.findall(r"0\.\d{3} r\d+ \(([^)]+)\)", shown)
    assert len(neighbours) == 3
    assert product[1] in neighbours


def test_calls_are_transcribed_with_few_wrong_words(shown: str) -> None:
    told = re.search(r"(\d+) calls are transcribed: word error (\d+\.\d)%", shown)
    assert told is not None
    assert told[1] == "37"
    assert float(told[2]) < 20  # 15: made speech, and of a telephone's 8 kHz 22
    assert re.search(r"0\.00 s │ \d+\.\d\d s │ Good afternoon", shown)


def test_the_broken_recording_is_a_row_with_an_error(shown: str) -> None:
    assert "c00.wav is a row with an error: invalid_audio" in shown


def test_questions_are_answered_from_one_common_prompt(shown: str) -> None:
    assert re.search(r"24 of 24 questions are answered: \d+ tokens written", shown)
    read = re.search(r"(\d+) tokens read, (\d+) of them from what the prompts have in common", shown)
    assert read is not None
    assert int(read[2]) > int(read[1]) // 3


def test_tickets_are_typed(shown: str) -> None:
    told = re.search(r"(\d+) tickets are valid", shown)
    assert told is not None
    assert int(told[1]) >= 20
    assert re.search(r"│ (delivery|payment|product|account|returns) │ (true|false) │", shown)


def test_summary_is_written(root: Path, shown: str) -> None:
    summary = json.loads((root / ".demo" / "summary.json").read_text())
    assert summary["job"] == "reviews_sentiment"


def test_nothing_is_written_outside_its_folder(root: Path, shown: str) -> None:
    assert {path.name for path in root.iterdir()} <= {".demo", "conf", "demo"}
