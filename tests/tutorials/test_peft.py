"""MLflow's "Fine-tuning with PEFT": an adapter over its base, with a prompt template and parameters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pyarrow as pa
import pytest
import torch
import transformers

from tests import generation
from tests.tutorials import doors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [
    pytest.mark.spark,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated"),  # of PEFT's own doing
]

PROMPTS = ["the people said", "how many", "a long day"]
PROMPT_TEMPLATE = "you have one table and {prompt} is what they say"


def trained(llama: Path) -> Any:
    """A LoRA adapter over the base, its weights drawn."""
    from peft import LoraConfig, get_peft_model

    base = transformers.AutoModelForCausalLM.from_pretrained(llama)
    config = LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])
    torch.manual_seed(0)
    model = get_peft_model(base, config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0.0, 0.5)
    return model


@pytest.mark.parametrize("log", [doors.stock, doors.here])
def test_every_door_writes_what_the_merged_model_writes(
    spark: SparkSession, llama: Path, tmp_path: Path, log: Callable[..., Any]
) -> None:
    tokenizer_no_pad = transformers.AutoTokenizer.from_pretrained(llama)
    signature = mlflow.models.infer_signature(
        model_input="a prompt",
        model_output="an answer",
        params={"max_new_tokens": 8, "repetition_penalty": 1.15, "return_full_text": False},
    )
    with mlflow.start_run():
        model_info = log(
            transformers_model={"model": trained(llama), "tokenizer": tokenizer_no_pad},
            task="text-generation",
            prompt_template=PROMPT_TEMPLATE,
            signature=signature,
            name="model",
        )

    said = doors.of(log, spark, model_info.model_uri, pa.table({"prompt": PROMPTS}), tmp_path)
    texts = {door: [row["choices"][0]["text"] for row in rows] for door, rows in said.items()}
    assert texts == dict.fromkeys(said, merged(llama, tmp_path / "merged"))


def merged(llama: Path, folder: Path) -> list[str]:
    """What plain transformers writes with PEFT's own merging, which the base alone does not."""
    trained(llama).merge_and_unload().save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(llama).save_pretrained(folder)
    prompts = [PROMPT_TEMPLATE.format(prompt=prompt) for prompt in PROMPTS]
    asked = {"max_new_tokens": 8, "repetition_penalty": 1.15, "do_sample": False}
    with_it, without = (generation.plain(one, prompts, **asked) for one in (folder, llama))
    assert with_it != without
    return [one[0].text for one in with_it]
