"""``python -m demo``: models, tables and five jobs, from nothing to scored rows, on this machine alone."""

from __future__ import annotations

import logging
import shlex
import sys
import textwrap
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from demo import calls, chats
from demo.place import FOLDER, TRACKING_URI, Unfit, check, enter, start_afresh
from demo.reviews import LABELS, Split, read, split

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SENTIMENT: Final = "conf/jobs/reviews.yaml"
EMBEDDINGS: Final = "conf/jobs/reviews_embeddings.yaml"
TRANSCRIPTS: Final = "conf/jobs/calls.yaml"
ANSWERS: Final = "conf/jobs/chats.yaml"
TICKETS: Final = "conf/jobs/chats_tickets.yaml"
PROBE: Final = "r216"  # a review of hiking boots, whose neighbours are shown

console = Console()


def main() -> int:
    """Runs the demonstration. Returns the exit code: 0, 2 where the machine is not fit, else that of the failed job."""
    reviews = split(read())
    try:
        section("Set-up")
        for line in check():
            console.print(f"  {line}", highlight=False)
        enter()
        start_afresh()
    except Unfit as unfit:
        Console(stderr=True).print(str(unfit), style="red", highlight=False, soft_wrap=True)
        return 2
    quiet()

    section("Models, logged by stock mlflow.transformers.log_model")
    log_models(reviews)

    section("A Delta table of reviews")
    from jobs.session import session

    spark = session("embercast demo")
    try:
        return jobs(spark, reviews)
    finally:
        spark.stop()


def jobs(spark: SparkSession, reviews: Split) -> int:
    """The six runs. Returns the exit code of the first that failed, else 0."""
    from demo import tables

    tables.append(spark, reviews.first)
    say(f"{len(reviews.first)} reviews at {tables.SOURCE}; {len(reviews.later)} more arrive later")

    section("A job scores the table")
    if code := run(SENTIMENT, "--summary", ".demo/summary.json"):
        return code
    show_scored(spark)
    show_accuracy(spark)

    section("New rows arrive; the same job scores only those")
    tables.append(spark, reviews.later)
    if code := run(SENTIMENT):
        return code
    show_runs(spark)
    show_accuracy(spark)

    section("A second job embeds the same table")
    if code := run(EMBEDDINGS):
        return code
    show_nearest(spark, reviews)

    section("A third job transcribes recordings of calls")
    spoken = record(spark)
    if code := run(TRANSCRIPTS):
        return code
    show_transcripts(spark, spoken)
    show_segments(spark, spoken[-1])

    section("A fourth job answers questions of customers")
    chats.append(spark, chats.read())
    if code := run(ANSWERS):
        return code
    show_answers(spark)

    section("A fifth makes tickets of them, each valid against a schema")
    if code := run(TICKETS):
        return code
    show_tickets(spark)

    section("Look around")
    say(f"tables, models and runs lie in .demo; with MLFLOW_TRACKING_URI={TRACKING_URI} set, embercast finds them")
    return 0


def log_models(reviews: Split) -> None:
    """Fits and logs the classifier, logs the encoder, a speech model and a chat model."""
    from demo import models

    models.use_folder(FOLDER / "artifacts")
    start = time.perf_counter()
    texts, labels = [r.body for r in reviews.fit], [r.label for r in reviews.fit]
    with console.status("fitting a classifier …"):
        model, tokenizer = models.fit_head(texts, labels, LABELS)
    say(f"a sentiment classifier on MiniLM, fitted to {len(texts)} reviews in {time.perf_counter() - start:.0f} s")
    with console.status("logging …"):
        versions = {
            "sentiment": models.log_classifier("sentiment", model, tokenizer),
            "minilm": models.log_encoder("minilm"),
            "whisper": models.log_recognizer("whisper"),
            "smollm2": models.log_chat("smollm2"),
        }
    for name, version in versions.items():
        say(f"models:/{name}@{models.ALIAS} is version {version}")


def run(*arguments: str) -> int:
    """Runs ``embercast run …`` in this process and Spark session. Returns its exit code."""
    from jobs.cli import app as embercast

    command = ["run", *arguments]
    console.print(f"\n  [bold]$ embercast {shlex.join(command)}[/bold]\n", highlight=False)
    return int(embercast(command, prog_name="embercast", standalone_mode=False) or 0)


def show_scored(spark: SparkSession) -> None:
    """The first rows of the sink beside their text."""
    from demo import tables

    rows = Table("review_id", "body", "label", "score", title="The first scored rows")
    for row in tables.scored(spark, 5):
        body = textwrap.shorten(row.body, 42, placeholder=" …")
        rows.add_row(row.review_id, body, row.sentiment.label, f"{row.sentiment.score:.4f}")
    console.print(rows)


def show_accuracy(spark: SparkSession) -> None:
    """How often the classifier agrees with the person who labelled the reviews."""
    from demo import tables

    right, total = tables.accuracy(spark)
    say(f"{right} of {total} labels are right: accuracy {right / total:.1%}")


def show_runs(spark: SparkSession) -> None:
    """What each run added to the sink."""
    from demo import tables

    rows = Table("_run_id", "rows", "_model_version", "_dtype", title="The sink, by run")
    for row in tables.runs(spark):
        rows.add_row(row.run, str(row.rows), row.version, row.dtype)
    console.print(rows)


def show_nearest(spark: SparkSession, reviews: Split) -> None:
    """The reviews whose embeddings lie nearest to that of one."""
    from demo import tables

    one = next(review for review in reviews.first if review.review_id == PROBE)
    say(f"nearest to {one.review_id} ({one.product}): {one.body}")
    for cosine, row in tables.nearest(spark, one.review_id, 3):
        say(f"  {cosine:.3f}  {row.review_id} ({row.product}): {row.body}")


def record(spark: SparkSession) -> list[calls.Call]:
    """Speaks the calls into files, breaks one more off, and names them all in a Delta table. Returns the calls."""
    spoken = calls.read()
    with console.status("speaking …"):
        files, seconds = calls.record(spoken)
    rows = [(call.call_id, call.product, file) for call, file in zip(spoken, files, strict=True)]
    calls.append(spark, [*rows, (calls.BROKEN, "router", calls.break_off(files[0]))])
    kinds = ", ".join(sorted({file.suffix[1:] for file in files}))
    say(f"{len(files)} calls, {seconds / 60:.0f} minutes of made speech ({kinds}), and one broken file")
    return spoken


def show_transcripts(spark: SparkSession, spoken: Sequence[calls.Call]) -> None:
    """The first transcripts beside what was said, the row of the broken file, and how many words are wrong in all."""
    from demo.words import corpus_error, word_error

    said = {call.call_id: call.text for call in spoken}
    heard = {row.call_id: row for row in calls.transcribed(spark)}
    rows = Table("file", "said", "heard", "word error", title="The first transcripts", show_lines=True)
    for call in spoken[:5]:
        row = heard[call.call_id]
        wrong = word_error(call.text, row.transcript.text)
        rows.add_row(row.path, call.text, row.transcript.text.strip(), f"{wrong:.1%}")
    console.print(rows)
    broken = heard.pop(calls.BROKEN)
    say(f"{broken.path} is a row with an error: {broken.transcript.error.code}")
    error = corpus_error((said[call_id], row.transcript.text) for call_id, row in heard.items())
    say(f"{len(heard)} calls are transcribed: word error {error:.1%}")


def show_segments(spark: SparkSession, call: calls.Call) -> None:
    """Where in a long recording what is said."""
    rows = Table("start", "end", "text", title=f"The first segments of the call about a {call.product}")
    for row in calls.segments(spark, call.call_id, 6):
        rows.add_row(f"{row.start:.2f} s", f"{row.end:.2f} s", row.text.strip())
    console.print(rows)


def show_answers(spark: SparkSession) -> None:
    """The first answers beside their questions, and what all of them took."""
    rows = Table("question", "answer", "finish", title="The first answers", show_lines=True)
    for row in chats.answers(spark, 4):
        rows.add_row(row.question, row.text.strip(), row.finish_reason)
    console.print(rows)
    used = chats.usage(spark)
    say(f"{used.rows - used.failed} of {used.rows} questions are answered: {used.written} tokens written")
    say(f"{used.prompt} tokens read, {used.cached} of them from what the prompts have in common")


def show_tickets(spark: SparkSession) -> None:
    """The first tickets as typed columns, and how many there are."""
    made = chats.tickets(spark)
    rows = Table("question", "department", "urgent", "summary", title="The first tickets", show_lines=True)
    for row in made[:4]:
        rows.add_row(row.question, row.ticket.department, str(row.ticket.urgent).lower(), row.ticket.summary)
    console.print(rows)
    say(f"{len(made)} tickets are valid")


def section(title: str) -> None:
    console.print()
    console.rule(f"[bold]{title}", align="left")


def say(text: str) -> None:
    console.print(f"  {text}", highlight=False, markup=False)


def quiet() -> None:
    """Keeps what libraries tell their developers off the screen."""
    import mlflow  # noqa: F401 - sets its loggers up as it is imported: their levels count afterwards
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)


if __name__ == "__main__":
    sys.exit(main())
