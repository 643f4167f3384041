"""Two versions of a model compared on a job's rows; on a yes the alias moves and the rows asked for are scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from typer.testing import CliRunner

from engine.errors import ParameterError, SchemaError
from engine.schema import ERROR, SCHEMAS, ddl
from engine.scorer import Scored
from jobs.alias import Alias
from jobs.cli import app
from jobs.comparison import Comparison
from jobs.differences import NEW, OLD, Cosine, Differences, Gap, Move, differences
from jobs.errors import DefinitionError, LimitReachedError, RunError, TooManyFailedRowsError
from jobs.promote import _resolved as resolve_version
from jobs.promote import _some, accept, compare
from jobs.resolved import Resolved, resolve
from jobs.runner import run
from jobs.settings import Limits
from tests import registries, tiny
from tests.scoring import rows as score_rows
from tests.scoring import scorer
from tests.spark import plain
from tests.spark.job import add, define, ids, sink

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.definition import JobDefinition

pytestmark = pytest.mark.spark

CHAMPION: Final = "models:/sentiment@champion"
BODIES: Final = [" ".join(tiny.WORDS[at : at + 4]) for at in range(0, 48, 4)]


@pytest.fixture(scope="module")
def _versions(tmp_path_factory: pytest.TempPathFactory, sentiment: Path, other: Path) -> Iterator[None]:
    """A registry whose model sentiment has these two as versions, and fillers one of another task."""
    from jobs.log import log_folder

    folder = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch:
        registries.enter(registries.template(tmp_path_factory.mktemp("template")), folder, patch)
        log_folder(sentiment, name="sentiment", alias="first")
        log_folder(other, name="sentiment", alias="challenger")
        yield


@pytest.fixture(autouse=True)
def _first_is_champion(_versions: None) -> None:
    point_at("1")


def point_at(version: str) -> None:
    import mlflow

    mlflow.MlflowClient().set_registered_model_alias("sentiment", "champion", version)


def champion() -> str:
    import mlflow

    return str(mlflow.MlflowClient().get_model_version_by_alias("sentiment", "champion").version)


def answers(model: Path, bodies: Sequence[str]) -> list[dict[str, Any]]:
    return [row for row in score_rows(scorer(model), text=bodies) if row]


def score(answer: dict[str, Any], label: str) -> float:
    return next(float(one["score"]) for one in answer["scores"] if one["label"] == label)


def to_second(definition: JobDefinition) -> Alias:
    return Alias.of(definition, "models:/sentiment@challenger")


def counted(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Callable[[], dict[str, int]]:
    """How many rows each version is asked for in comparisons from now on."""

    def watched(*given: Any) -> Resolved:
        resolved = resolve_version(*given)
        calls = folder / f"version-{resolved.model.ref.version}"

        def count(windows: Iterator[Scored]) -> Iterator[Scored]:
            for window in windows:
                with calls.open("a") as told:
                    told.write("x" * window.batch.num_rows)
                yield window

        return replace(resolved, model=plain.watched(resolved.model, count))

    monkeypatch.setattr("jobs.promote._resolved", watched)
    return lambda: {file.name: file.stat().st_size for file in sorted(folder.glob("version-*"))}


def noted(monkeypatch: pytest.MonkeyPatch) -> list[Comparison]:
    """The comparisons that are made from now on."""
    made: list[Comparison] = []

    def note(*given: Any, **options: Any) -> Comparison:
        made.append(compare(*given, **options))
        return made[-1]

    monkeypatch.setattr("jobs.promote.compare", note)
    return made


def command(folder: Path, *options: str, version: str = "2", answer: str | None = None) -> tuple[int, str]:
    """Exit code and screen of ``embercast promote``."""
    arguments = ["promote", f"models:/sentiment/{version}", "--job", f"{folder}/job.yaml", *options]
    done = CliRunner().invoke(app, arguments, input=answer, env={"COLUMNS": "160"})
    return done.exit_code, done.output


def by_version(spark: SparkSession, folder: Path) -> dict[str, int]:
    return dict(Counter(row["_model_version"] for row in sink(spark, folder)))


def test_what_differs_is_told_and_on_a_no_nothing_is_changed(
    spark: SparkSession, sentiment: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(spark, tmp_path, BODIES)
    compute = {"price_per_hour": 3600.0}
    definition = define(tmp_path, CHAMPION, on_change="rescore", compute=compute)
    before, after = answers(sentiment, BODIES), answers(other, BODIES)
    moves = Counter((a["label"], b["label"]) for a, b in zip(before, after, strict=True) if a["label"] != b["label"])
    assert 0 < moves.total() < len(BODIES)
    apart = [abs(score(a, "positive") - score(b, "positive")) for a, b in zip(before, after, strict=True)]

    made, calls = noted(monkeypatch), counted(monkeypatch, tmp_path)
    code, screen = command(tmp_path, answer="n\n")
    assert code == 0
    assert "12 of 12, 12 without an error in either" in screen
    assert f"{moves.total()} of 12 are others ({moves.total() / 12:.2%})" in screen
    assert f"Point {CHAMPION} at version 2 and score 12 rows by it (rescore)?" in screen
    assert "nothing was changed" in screen
    assert not any(body in screen for body in BODIES)
    assert (champion(), (tmp_path / "sink").exists()) == ("1", False)

    assert calls() == {"version-1": 12, "version-2": 12}  # each row once
    (found,) = made
    between = found.differences
    assert (between.rows, between.answered, between.words, between.other) == (12, 12, "labels", moves.total())
    assert {(move.old, move.new): move.rows for move in between.moves} == moves
    (gap,) = between.gaps
    assert (gap.of, gap.rows) == ("scores", 12)
    assert (gap.mean, gap.largest) == pytest.approx((sum(apart) / 12, max(apart)), abs=1e-5)
    assert (found.old.version, found.new.version, found.run.rows, found.refusal) == ("1", "2", 12, None)
    for side in (found.old, found.new):
        assert side.rescore.rows_per_s > 0
        assert (side.rescore.rows, side.price) == (12, side.rescore.seconds)
    with pytest.raises(LimitReachedError, match=r"12 rows are to be scored, limits\.max_rows allows 11"):
        accept(definition.model_copy(update={"limits": Limits(max_rows=11)}), to_second(definition), found)
    broken = replace(found, differences=replace(between, new_failed={"forward_failed": 1}))
    with pytest.raises(
        TooManyFailedRowsError, match=r"1 of 12 rows that were compared failed, errors\.max_fraction allows"
    ):
        accept(definition, to_second(definition), broken)
    assert champion() == "1"


def test_on_a_yes_the_rows_asked_for_are_scored_again_and_no_others(
    spark: SparkSession, sentiment: Path, other: Path, tmp_path: Path
) -> None:
    add(spark, tmp_path, BODIES[:3])
    definition = define(tmp_path, CHAMPION, on_change="rescore")
    run(definition, spark=spark)
    assert command(tmp_path, "--all", "--yes")[0] == 0
    assert (champion(), by_version(spark, tmp_path), ids(spark, tmp_path)) == ("2", {"2": 3}, [0, 1, 2])
    code, screen = command(tmp_path, "--yes")
    assert code == 2
    assert "names version 2 already: there is nothing to compare" in screen

    add(spark, tmp_path, BODIES[3:5], first=3)
    define(tmp_path, CHAMPION, on_change="fail", trigger={"every": "1 minute"})  # which a promotion does not wait for
    code, screen = command(tmp_path, "--yes", version="1")
    assert code == 2
    assert "on_change: expected what becomes of the rows that were scored before, got fail; --on-change new_" in screen
    assert (champion(), by_version(spark, tmp_path)) == ("2", {"2": 3})
    code, _ = command(tmp_path, "--yes", "--on-change", "new_rows", version="1")
    assert (code, champion(), by_version(spark, tmp_path)) == (0, "1", {"2": 3, "1": 2})
    scores = [row["sentiment"]["score"] for row in sink(spark, tmp_path)]
    expected = [*answers(other, BODIES[:3]), *answers(sentiment, BODIES[3:5])]
    assert scores == pytest.approx([row["score"] for row in expected], abs=1e-5)


def test_only_an_alias_and_a_version_of_its_model_are_taken(tmp_path: Path) -> None:
    with pytest.raises(
        DefinitionError, match="model: expected an alias to move, models:/name@alias, got models:/sentim"
    ):
        to_second(define(tmp_path, "models:/sentiment/1"))
    definition = define(tmp_path, CHAMPION)
    for wrong in ("models:/other/2", "somewhere"):
        with pytest.raises(ParameterError, match=f"expected a version of sentiment, .* got {wrong}"):
            Alias.of(definition, wrong)
    assert command(tmp_path, "--rows", "5", "--all")[0] == 2


def test_an_alias_that_was_moved_meanwhile_is_left_where_it_is(tmp_path: Path) -> None:
    alias = to_second(define(tmp_path, CHAMPION))
    point_at("2")
    with pytest.raises(RunError, match="named version 1 when it was compared and names 2 now: nothing was changed"):
        alias.move()


def test_the_same_rows_are_taken_each_time(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    add(spark, tmp_path, [None if at % 10 == 0 else f"row {at}" for at in range(300)])
    resolved = resolve(spark, define(tmp_path, sentiment))
    taken = [{row["id"] for row in _some(spark, resolved, 20, total).collect()} for total in (300, 20)]
    source = spark.read.format("delta").load(f"{tmp_path}/source").where("body IS NOT NULL")
    first = source.selectExpr("id", "xxhash64(id) AS place").orderBy("place").limit(20).collect()
    assert taken[0] == taken[1] == {row["id"] for row in first}


def compared(spark: SparkSession, task: str, *pairs: tuple[Any, Any], **options: Any) -> Differences:
    """The differences of pairs of structs; fields that are left out are null."""
    from pyspark.sql.types import StructType

    kind = ddl(SCHEMAS[task].output)
    schema = StructType.fromDDL(f"{OLD} {kind}, {NEW} {kind}")
    names = [*(field.name for field in SCHEMAS[task].output.fields)]
    rows = [tuple(tuple(side.get(name) for name in names) for side in pair) for pair in pairs]
    return differences(spark.createDataFrame(rows, schema), task=task, gives=SCHEMAS[task], **options)


def labelled(label: str, *scores: tuple[str, float]) -> dict[str, Any]:
    return {"label": label, "scores": list(scores)}


def failed(code: str) -> dict[str, Any]:
    assert ERROR.names == ["code", "message", "retryable"]
    return {"error": (code, "so", False)}


def test_labels_and_scores_by_hand(spark: SparkSession) -> None:
    pairs = [
        (labelled("a", ("a", 0.75), ("b", 0.25)), labelled("a", ("a", 0.5), ("b", 0.5))),
        (labelled("a", ("a", 1.0), ("b", 0.0)), labelled("b", ("b", 1.0))),  # of a label that one lacks nothing is told
        (labelled("b", ("b", 0.5)), labelled("c", ("c", 0.5))),
        (labelled("b", ("b", 0.5)), failed("too_long")),
        (failed("too_long"), failed("forward_failed")),
    ]
    found = compared(spark, "text-classification", *pairs)
    assert found == Differences(
        rows=5,
        answered=3,
        old_failed={"too_long": 1},
        new_failed={"forward_failed": 1, "too_long": 1},
        words="labels",
        other=2,
        moves=(Move(old="a", new="b", rows=1), Move(old="b", new="c", rows=1)),
        gaps=(Gap(of="scores", rows=2, mean=0.625, largest=1.0),),
    )
    assert compared(spark, "zero-shot-classification", *pairs, own_labels=True).moves == ()


def test_vectors_by_hand(spark: SparkSession) -> None:
    up, right, slanted = [0.0, 2.0], [1.0, 0.0], [3.0, 4.0]
    found = compared(
        spark,
        "embeddings",
        ({"embedding": up}, {"embedding": up}),
        ({"embedding": right}, {"embedding": slanted}),
        ({"embedding": right}, {"embedding": [1.0, 0.0, 0.0]}),
        ({"embedding": right}, {"embedding": [0.0, 0.0]}),
    )
    assert (found.answered, found.words, found.gaps) == (4, None, ())
    assert found.cosine == Cosine(rows=2, mean=pytest.approx(0.8), least=pytest.approx(0.6))
    several = {"embeddings": [up, right]}, {"embeddings": [up, slanted]}
    assert compared(spark, "list-embeddings", several).cosine == Cosine(
        rows=1, mean=pytest.approx(0.8), least=pytest.approx(0.6)
    )
    data = tuple({"data": list(enumerate(side["embeddings"]))} for side in several)
    assert compared(spark, "llm/v1/embeddings", data).cosine == Cosine(
        rows=1, mean=pytest.approx(0.8), least=pytest.approx(0.6)
    )


def said(content: str) -> dict[str, Any]:
    return {"id": f"id of {content}", "model": content, "choices": [(0, ("assistant", content, None), "stop", None)]}


@pytest.mark.parametrize(
    ("task", "same", "different", "words"),
    [
        ("summarization", ({"text": "so"}, {"text": "so"}), ({"text": "so"}, {"text": "no"}), "texts"),
        (
            "text-generation",
            ({"choices": [(0, "so", "stop", -1.0)]}, {"choices": [(0, "so", "stop", -2.0)]}),
            ({"choices": [(0, "so", "stop", -1.0)]}, {"choices": [(0, "no", "stop", -1.0)]}),
            "texts",
        ),
        ("llm/v1/chat", (said("so"), {**said("so"), "model": "4"}), (said("so"), said("no")), "answers"),
        (
            "token-classification",
            ({"entities": [("PER", 0.5, "x", 0, 4)]}, {"entities": [("PER", 0.9, "x", 0, 4)]}),
            ({"entities": [("PER", 0.5, "x", 0, 4)]}, {"entities": []}),
            "entities",
        ),
        (
            "fill-mask",
            ({"masks": [[("so", 0.5, "so")]]}, {"masks": [[("so", 0.9, "so"), ("no", 0.1, "no")]]}),
            ({"masks": [[("so", 0.5, "so")]]}, {"masks": [[("no", 0.5, "no")]]}),
            "words",
        ),
    ],
)
def test_words_by_hand(spark: SparkSession, task: str, same: Any, different: Any, words: str) -> None:
    found = compared(spark, task, same, different)
    assert (found.words, found.answered, found.other, found.moves) == (words, 2, 1, ())


def test_numbers_beside_other_words_are_not_compared(spark: SparkSession) -> None:
    found = compared(
        spark,
        "question-answering",
        ({"answer": "here", "score": 0.5}, {"answer": "here", "score": 0.75}),
        ({"answer": "here", "score": 0.5}, {"answer": "there", "score": 1.0}),
    )
    assert (found.words, found.other) == ("answers", 1)
    assert found.gaps == (Gap(of="score", rows=1, mean=0.25, largest=0.25),)
    ranked = compared(spark, "reranking", ({"score": 1.0}, {"score": 3.0}), ({"score": 1.0}, {"score": 0.0}))
    assert (ranked.words, ranked.gaps) == (None, (Gap(of="score", rows=2, mean=1.5, largest=2.0),))


def test_models_of_two_tasks_are_not_compared(spark: SparkSession, tmp_path: Path) -> None:
    from jobs.log import log_folder

    log_folder(tiny.save(tmp_path / "filler", head="MaskedLM"), name="sentiment", alias="filler")
    add(spark, tmp_path, BODIES[:2])
    definition = define(tmp_path, CHAMPION, task=None)
    with pytest.raises(SchemaError, match=r"gives another struct \(fill-mask\): give it a job of its own"):
        compare(definition, Alias.of(definition, "models:/sentiment@filler"), spark=spark)
