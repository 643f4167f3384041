"""MLflow's "Audio transcription": Whisper, with the recordings' bytes in a column."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pyarrow as pa
import pytest
import transformers

from tests import speech_models, whispering
from tests.tutorials import doors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

CLIPS = [whispering.noise(seconds, seed=i) for i, seconds in enumerate((1.0, 2.5))]


@pytest.fixture(scope="module")
def folder(home: Path) -> Path:
    return speech_models.save(home / "whisper")


@pytest.mark.parametrize("log", [doors.stock, doors.here])
def test_every_door_hears_what_the_model_hears(
    spark: SparkSession, folder: Path, tmp_path: Path, log: Callable[..., Any]
) -> None:
    model = transformers.WhisperForConditionalGeneration.from_pretrained(folder)
    tokenizer = transformers.WhisperTokenizer.from_pretrained(folder)
    feature_extractor = transformers.WhisperFeatureExtractor.from_pretrained(folder)
    audio_transcription_pipeline = transformers.pipeline(
        task="automatic-speech-recognition", model=model, tokenizer=tokenizer, feature_extractor=feature_extractor
    )
    settings = {"language": "en", "task": "transcribe", "max_new_tokens": 12}
    model_config = {
        "chunk_length_s": 30,
        "return_timestamps": False,
        "generate_kwargs": {**settings, "temperature": 0.0},
    }
    with mlflow.start_run():
        model_info = log(
            transformers_model=audio_transcription_pipeline, name="whisper_transcriber", model_config=model_config
        )

    recordings = pa.table({"audio": [whispering.wav(clip) for clip in CLIPS]})
    said = doors.of(log, spark, model_info.model_uri, recordings, tmp_path)
    heard = whispering.Plain(folder)
    expected = [heard.text(clip, **whispering.PLAIN, **settings) for clip in CLIPS]
    assert {door: [row["text"] for row in rows] for door, rows in said.items()} == dict.fromkeys(said, expected)
