"""SQL functions in YAML: what a file may say, and every problem at once, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.errors import DefinitionError
from jobs.functions import load

ROOT = Path(__file__).parents[3]

GOOD = """\
version: 1
functions:
  sentiment:
    model: models:/sentiment@champion
    task: text-classification
    params: {top_k: 3}
    compute: {dtype: float32, device: cpu}
    deterministic: true
  chat: {model: "models:/assistant/3"}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "functions.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def wrong(path: Path) -> list[str]:
    """The problems of a file, without the folder."""
    with pytest.raises(DefinitionError) as caught:
        load(path)
    return [str(problem).removeprefix(f"{path.parent}/") for problem in caught.value.problems]


def test_functions_with_defaults(tmp_path: Path) -> None:
    sentiment, chat = load(write(tmp_path, GOOD))
    assert (sentiment.name, sentiment.place.line, sentiment.section.deterministic) == ("sentiment", 3, True)
    assert (sentiment.section.params, sentiment.section.compute.device) == ({"top_k": 3}, "cpu")
    assert (chat.name, chat.section.model, chat.section.task, chat.section.kind) == (
        *("chat", "models:/assistant/3"),
        *(None, None),
    )


def test_the_committed_file_names_none() -> None:
    assert load(ROOT / "conf" / "functions.yaml") == ()


def test_every_problem_is_named_with_its_line(tmp_path: Path) -> None:
    text = """\
version: 1
functions:
  Sentiment: {model: "models:/sentiment@champion"}
  spam:
    modle: models:/spam/1
    task: text-classification
    params: {top: 3, top_k: {column: best}}
  empty:
  chat:
    model: ${env:EMBERCAST_NOT_SET}
    task: chat
    compute: {max_files_per_commit: 3, dtype: float64}
"""
    found = wrong(write(tmp_path, text))
    assert [problem.partition(": expected ")[0] for problem in found] == [
        "functions.yaml:3: functions.Sentiment",
        "functions.yaml:4: functions.spam.model",
        "functions.yaml:5: functions.spam.modle",
        "functions.yaml:7: functions.spam.params",
        "functions.yaml:7: functions.spam.params.top",
        "functions.yaml:8: functions.empty",
        "functions.yaml:10: functions.chat.model",
        "functions.yaml:11: functions.chat.task",
        "functions.yaml:12: functions.chat.compute.dtype",
    ]
    assert "write model" in found[2]
    assert "got a column for top_k; remove it, and write top_k => column where the function is called" in found[3]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- sentiment\n", "functions.yaml:1: expected a mapping with version and functions"),
        ("version: 1\n", "functions.yaml:1: functions: expected a mapping of names to functions, got nothing"),
        ("version: 2\nfunctions: {}\n", "functions.yaml:1: version: expected 1, got 2"),
        ("version: 1\nfunctions: {}\nfunction: {}\n", "functions.yaml:3: function: expected one of version, functions"),
        ("version: 1\nfunctions: [\n", "functions.yaml:3: expected YAML"),
    ],
)
def test_files_of_another_shape(tmp_path: Path, text: str, problem: str) -> None:
    [found] = wrong(write(tmp_path, text))
    assert found.startswith(problem)


def test_what_commits_nothing_has_no_bounds_of_a_commit(tmp_path: Path) -> None:
    text = "version: 1\nfunctions:\n  f: {model: m, compute: {max_files_per_commit: 3}}\n"
    [found] = wrong(write(tmp_path, text))
    assert "expected the compute of a function, which commits nothing, got max_files_per_commit" in found


def test_what_has_no_stage_of_its_own_asks_for_no_gpus(tmp_path: Path) -> None:
    text = "version: 1\nfunctions:\n  f: {model: m, compute: {gpus_per_task: 2}}\n"
    [found] = wrong(write(tmp_path, text))
    assert "got gpus_per_task; remove it, and start the session with spark.task.resource.gpu.amount" in found


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    [found] = wrong(tmp_path / "functions.yaml")
    assert found.startswith("functions.yaml: expected a readable file of functions, got No such file")


def test_variables_of_a_command_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No command fills them, and one that an environment variable is called like is not that one."""
    monkeypatch.setenv("STAGE", "champion")
    text = "version: 1\nfunctions:\n  f: {model: 'models:/sentiment@${var:STAGE}'}\n"
    [found] = wrong(write(tmp_path, text))
    assert found.startswith("functions.yaml:3: functions.f.model: expected a value for ${var:STAGE}, got none; write")
