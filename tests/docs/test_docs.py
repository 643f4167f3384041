"""The pages keep what they promise: tables in step, links that lead somewhere, examples that run.

A fenced block is run where its first line says so: ``python test`` and ``python test spark`` are executed, those of a
page in their order and in one namespace; ``yaml job`` is read as a job definition, ``yaml functions`` as a file of SQL
functions. Every other block is only read.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests import recordings

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE: Final = re.compile(r"^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\[[^\]]+\]\((?P<to>[^)\s]+)\)")


def blocks(page: Path, info: str) -> list[str]:
    """The bodies of a page's fenced blocks with this first line, each moved down to where it stands in the page."""
    text = page.read_text(encoding="utf-8")
    found = [match for match in _FENCE.finditer(text) if match["info"] == info]
    return ["\n" * text.count("\n", 0, match.start("body")) + match["body"] for match in found]


def having(info: str) -> list[Any]:
    """The pages that have such a block, named by their paths."""
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES if blocks(page, info)]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_tables_are_in_step() -> None:
    done = subprocess.run(
        [sys.executable, "docs/tables.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), f"run `make docs`: {done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for match in _LINK.finditer(page.read_text(encoding="utf-8")):
        to, _, anchor = match["to"].partition("#")
        target = page.parent / to if to else page
        if to.startswith(("http://", "https://")):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(match["to"])
    assert broken == []


def test_every_page_is_reached_from_the_index() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "docs" / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        links = (found["to"].partition("#")[0] for found in _LINK.finditer(page.read_text(encoding="utf-8")))
        waiting += [(page.parent / to).resolve() for to in links if to.endswith(".md")]
    assert sorted(set((ROOT / "docs").rglob("*.md")) - seen) == []


@pytest.mark.parametrize("page", having("yaml job"))
def test_jobs_are_valid(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.definition import load

    monkeypatch.setenv("MAILS", "/mnt/mails")
    for i, body in enumerate(blocks(page, "yaml job")):
        file = tmp_path / f"{i}.yaml"
        file.write_text(body, encoding="utf-8")
        assert load(file, variables=["ds=2026-11-23"]).name in body


@pytest.mark.parametrize("page", having("yaml functions"))
def test_functions_are_valid(page: Path, tmp_path: Path) -> None:
    from jobs.functions import load

    for i, body in enumerate(blocks(page, "yaml functions")):
        file = tmp_path / f"{i}.yaml"
        file.write_text(body, encoding="utf-8")
        assert all(function.name in body for function in load(file))


@pytest.mark.parametrize("page", having("python test"))
def test_examples_run(page: Path, sentiment: Path, chat: Path, entities: Path, tmp_path: Path) -> None:
    names = {"folder": str(sentiment), "chat": str(chat), "entities": str(entities), "into": str(tmp_path)}
    run(page, "python test", names)


@pytest.mark.spark
@pytest.mark.filterwarnings(
    "ignore:In Python 3.6.* it is preferred to specify type hints:UserWarning"
)  # of MLflow's UDF
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")  # of MLflow's own mappings
@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")  # of its own types
@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("page", having("python test spark"))
def test_examples_run_on_spark(page: Path, spark: Any, sentiment: Path, tmp_path: Path) -> None:
    texts = ["what a good day", None, "they said no", "what a good day"]
    reviews = spark.createDataFrame(list(enumerate(texts)), "review_id INT, body STRING")
    reviews.createOrReplaceTempView("reviews")
    files = [tmp_path / "calls" / f"{i}.wav" for i in range(2)]
    files[0].parent.mkdir()
    for file in files:
        file.write_bytes(recordings.wav(recordings.tone(0.5)))
    calls = spark.createDataFrame([(i, str(file)) for i, file in enumerate(files)], "call_id INT, path STRING")
    names = {"spark": spark, "reviews": reviews, "calls": calls, "folder": str(files[0].parent)}
    names["sentiment"] = str(sentiment)
    run(page, "python test spark", names)


def run(page: Path, info: str, names: dict[str, Any]) -> None:
    """Executes a page's blocks in one namespace."""
    for body in blocks(page, info):
        exec(compile(body, str(page), "exec"), names)


def test_every_task_has_a_page_that_tells_its_fields() -> None:
    from engine.schema import SCHEMAS

    for task, schema in SCHEMAS.items():
        page = (ROOT / "docs" / "tasks" / f"{task}.md").read_text(encoding="utf-8")
        told = set(re.findall(r"^- `(\w+)`: ", page, re.MULTILINE))
        assert told == {field.name for field in schema.output.fields}
        assert all(f"<!-- table: {kind} of {task} -->" in page for kind in ("inputs", "params", "output"))


def test_every_row_error_is_told() -> None:
    from engine.errors import ROW_ERROR_CODES

    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^- `(\w+)`: ", page, re.MULTILINE)) == set(ROW_ERROR_CODES)
