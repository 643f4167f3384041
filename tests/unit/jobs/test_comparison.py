from __future__ import annotations

import io
import json
from dataclasses import replace

from rich.console import Console

from jobs.comparison import Comparison, Side
from jobs.differences import Cosine, Differences, Gap, Move
from jobs.page.render import compared
from jobs.summary import Planned
from tests.pages import held


def side(version: str, rows_per_s: float) -> Side:
    rescore = Planned(rows=7200, rows_per_s=rows_per_s, seconds=7200 / rows_per_s)
    return Side(version=version, digest="4be1c20d9a77ffff", dtype="float32", rescore=rescore, price=None)


def comparison(found: Differences) -> Comparison:
    return Comparison(
        job="reviews",
        identity="9c1f0a7be2d44e10",
        task="text-classification",
        alias="models:/sentiment@champion",
        old=side("3", 20.0),
        new=side("4", 10.0),
        differences=found,
        on_change="new_rows",
        run=Planned(rows=0, rows_per_s=10.0, seconds=0.0),
    )


LABELLED = Differences(
    rows=100,
    answered=98,
    old_failed={},
    new_failed={"too_long": 2},
    words="labels",
    other=5,
    moves=(Move(old="[b]", new="bad", rows=3),),
    gaps=(Gap(of="scores", rows=98, mean=0.25, largest=0.5),),
)
VECTORS = Differences(
    rows=4,
    answered=4,
    old_failed={},
    new_failed={},
    words=None,
    other=0,
    cosine=Cosine(rows=3, mean=0.9, least=0.25),
)


def screen(made: Comparison) -> str:
    """Its words, without the lines of the tables."""
    console = Console(file=io.StringIO(), width=120)
    console.print(made)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return " ".join(text.translate(dict.fromkeys(map(ord, "│┃"), " ")).split())


def test_what_differs_is_shown() -> None:
    shown = screen(comparison(LABELLED))
    for part in (
        "reviews (9c1f0a7be2d44e10): models:/sentiment@champion",
        "version 3 version 4",
        "failed 0 2 too_long",
        "rows/s 20 10",
        "all 7,200 rows 6 min 12 min",
        "rows compared 100 of 7,200, 98 without an error in either",
        "labels 5 of 98 are others (5.10%)",
        "[b] → bad: 3",
        "others: 2",
        "scores differ by 0.25 in the mean, by 0.5 at most, in 98 rows",
        "on_change new_rows: 0 rows to score, 0 s",
    ):
        assert part in shown
    assert "price" not in shown
    assert "output tokens" not in shown


def test_price_tokens_and_a_refusal_are_shown_where_there_are_any() -> None:
    made = comparison(LABELLED)
    made = replace(
        made,
        old=replace(made.old, price=1.5, written=12.0),
        new=replace(made.new, price=3.0, written=14.0),
        run=replace(made.run, rows=7200, seconds=720.0),
        price=3.0,
        refusal="too dear",
    )
    shown = screen(made)
    assert "output tokens a row 12 14" in shown
    assert "their price 1.50 3.00" in shown
    assert "new_rows: 7,200 rows to score, 12 min, price 3.00" in shown
    assert shown.endswith("warning: a run would be refused: too dear")
    assert made.question == ("Point models:/sentiment@champion at version 4 and score 7,200 rows by it (new_rows)?")


def test_vectors_are_told_by_their_cosine() -> None:
    shown = screen(comparison(VECTORS))
    assert "cosine 0.9000 in the mean, 0.2500 at least, in 3 rows; 1 rows have vectors of other lengths" in shown
    other = replace(VECTORS, cosine=Cosine(rows=0, mean=None, least=None))
    assert "cosine none: the vectors of 4 rows have other lengths" in screen(comparison(other))


def test_a_comparison_is_json_and_asks_of_no_rows_where_none_are_to_score() -> None:
    made = comparison(LABELLED)
    assert json.loads(json.dumps(made.as_dict()))["differences"]["moves"] == [{"old": "[b]", "new": "bad", "rows": 3}]
    assert made.question == "Point models:/sentiment@champion at version 4 and score no row?"


def test_the_page_says_what_the_screen_says() -> None:
    made = replace(comparison(LABELLED), refusal="limits.max_rows allows 5")
    page = compared(made)
    for name, old, new in made.sides():
        assert f"<tr><th>{name}</th><td>{old}</td><td>{new}</td></tr>" in page
    assert "<td>[b] → bad: 3</td>" in page
    assert '<p class="ended">a run would be refused: limits.max_rows allows 5</p>' in page
    assert held(page, "figures")["differences"]["gaps"][0]["largest"] == 0.5
    assert "<b>" not in compared(replace(made, job="<b>"))
