"""MLflow's "Custom PyFunc for transformers": a model's snapshot among the artifacts, and code of its own around it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import mlflow
import pandas as pd
import pyarrow as pa
import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

from engine.errors import UnsafeModelError
from engine.options import Compute
from tests import generation
from tests.tutorials import doors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

PROMPTS = ["the people said", "how many", "a long day"]
ROWS = pa.table({"prompt": PROMPTS})
INSTRUCT: Final = '''
import mlflow
import torch
import transformers


class Instruct(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        """Loads tokenizer and model from the snapshot that was logged."""
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(context.artifacts["snapshot"])
        self.model = transformers.AutoModelForCausalLM.from_pretrained(context.artifacts["snapshot"]).eval()

    def _build_prompt(self, instruction):
        return f"they said to you {instruction}"

    def predict(self, context, model_input, params=None):
        count = (params or {}).get("max_new_tokens", 8)
        return [self._write(prompt, count) for prompt in model_input["prompt"]]

    def _write(self, prompt, count):
        encoded = self.tokenizer(self._build_prompt(prompt), return_tensors="pt")
        encoded.pop("token_type_ids", None)
        found = self.model.generate(**encoded, do_sample=False, max_new_tokens=count, pad_token_id=0)
        return self.tokenizer.decode(found[0, encoded["input_ids"].shape[1] :], skip_special_tokens=True)


mlflow.models.set_model(Instruct())
'''


@pytest.fixture(scope="module")
def uri(home: Path, llama: Path) -> str:
    (home / "instruct.py").write_text(INSTRUCT, encoding="utf-8")
    signature = ModelSignature(
        inputs=Schema([ColSpec("string", "prompt")]),
        outputs=Schema([ColSpec("string", "candidates")]),
        params=ParamSchema([ParamSpec("max_new_tokens", "integer", 8)]),
    )
    with mlflow.start_run():
        model_info = mlflow.pyfunc.log_model(
            name="instruct",
            python_model=str(home / "instruct.py"),
            artifacts={"snapshot": str(llama)},
            pip_requirements=["torch", "transformers"],
            input_example=pd.DataFrame({"prompt": PROMPTS[:1]}),
            signature=signature,
        )
    return str(model_info.model_uri)


def plain(llama: Path) -> list[str]:
    prompts = [f"they said to you {prompt}" for prompt in PROMPTS]
    return [one[0].text for one in generation.plain(llama, prompts, max_new_tokens=8, do_sample=False)]


def test_every_door_runs_its_code_where_that_is_allowed(
    spark: SparkSession, llama: Path, tmp_path: Path, uri: str
) -> None:
    allowed: dict[str, Any] = {"allow_foreign_code": True}
    said = doors.engine(spark, uri, ROWS, compute=Compute(), **allowed)
    said["job"] = doors.job(spark, uri, ROWS, tmp_path, compute={"dtype": "auto"}, **allowed)
    texts = {door: [row["result"] for row in rows] for door, rows in said.items()}
    texts["load_model"] = mlflow.pyfunc.load_model(uri).predict(ROWS.to_pandas())
    texts["spark_udf"] = doors.spark_udf(spark, uri, ROWS)
    assert texts == dict.fromkeys(texts, plain(llama))


def test_nothing_of_it_runs_unless_it_is_allowed(spark: SparkSession, uri: str) -> None:
    with pytest.raises(UnsafeModelError, match="allow_foreign_code"):
        doors.engine(spark, uri, ROWS)
