"""``python -m demo.prepare``: what the demonstration's jobs need, on the MLflow that MLFLOW_TRACKING_URI names.

Models are logged there, and the jobs' sources written below ``.demo``; ``conf/jobs`` then runs on any cluster that sees
this folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from demo import calls, chats, models, tables
from demo.place import FOLDER, ROOT, Unfit, start_afresh
from demo.reviews import LABELS, Review, read, split

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MODELS: Final = ("sentiment", "minilm", "whisper", "smollm2")


def main() -> int:
    """Prepares all of it. Returns the exit code: 0, or 2 where no server is named."""
    os.chdir(ROOT)
    try:
        check()
        start_afresh(FOLDER)
    except Unfit as unfit:
        print(unfit, file=sys.stderr)
        return 2
    from jobs.session import session

    reviews = split(read())
    log_models(reviews.fit)
    spark = session("embercast demo")
    try:
        write_tables(spark, [*reviews.first, *reviews.later], calls.read(), chats.read())
    finally:
        spark.stop()
    print(f"models are in {os.environ['MLFLOW_TRACKING_URI']}, tables in {FOLDER / 'tables'}: run conf/jobs")
    return 0


def check() -> None:
    """Raises Unfit where no MLflow server is named."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri.startswith("http"):
        raise Unfit(f"expected an MLflow server in MLFLOW_TRACKING_URI, got {uri or 'nothing'}: . .demo/cluster/env")


def log_models(fit: list[Review], names: Collection[str] = MODELS) -> None:
    """Fits and logs the classifier, logs the other models, each under the alias champion; those that are named."""
    if "sentiment" in names:
        model, tokenizer = models.fit_head([one.body for one in fit], [one.label for one in fit], LABELS)
        models.log_classifier("sentiment", model, tokenizer)
    if "minilm" in names:
        models.log_encoder("minilm")
    if "whisper" in names:
        models.log_recognizer("whisper")
    if "smollm2" in names:
        models.log_chat("smollm2")


def write_tables(
    spark: SparkSession, reviews: list[Review], spoken: list[calls.Call], questions: list[chats.Question]
) -> None:
    """Makes the sources of the jobs below the working folder; calls are spoken first."""
    tables.append(spark, reviews)
    files, _ = calls.record(spoken)
    calls.append(spark, [(call.call_id, call.product, file) for call, file in zip(spoken, files, strict=True)])
    chats.append(spark, questions)


if __name__ == "__main__":
    sys.exit(main())
