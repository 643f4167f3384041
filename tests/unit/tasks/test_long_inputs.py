"""Texts after inputs of 5,000 tokens against ``generate`` on one input at a time."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Final

from transformers import AutoTokenizer

from tests import generation, tiny
from tests.unit.tasks import test_text_generation, test_text_to_text

WORDS: Final = 5_000
INPUT: Final = " ".join(random.Random(5).choices(tiny.WORDS, k=WORDS))


def save(folder: Path, architecture: str, **overrides: Any) -> Path:
    """A model of one small layer, and a tokenizer that cuts nothing."""
    small = {"num_hidden_layers": 1, "num_attention_heads": 1, "hidden_size": 8}
    ends = {"eos_token_id": generation.ENDS}
    generation.save(folder, architecture, generation=ends, **{**small, **overrides})
    AutoTokenizer.from_pretrained(folder, model_max_length=10**9).save_pretrained(folder)
    return folder


def test_a_prompt_of_thousands_of_tokens_is_written_after(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", "llama", max_position_embeddings=WORDS + 10, num_key_value_heads=1)
    prompts = [INPUT, INPUT[: INPUT.rindex(" ")]]  # the second is padded
    found = test_text_generation.write(folder, prompts, batch_tokens=3 * WORDS, max_new_tokens=4)
    test_text_generation.assert_written(found, generation.plain(folder, prompts, prompt=WORDS + 1, max_new_tokens=4))
    assert [row["usage"]["prompt_tokens"] for row in found] == [WORDS + 1, WORDS]
    assert not any(row["truncated"] for row in found)


def test_an_encoder_with_relative_positions_reads_thousands_of_tokens(tmp_path: Path) -> None:
    """Its positions are not counted, so that nothing is cut."""
    folder = save(tmp_path / "model", "t5", max_position_embeddings=None, num_layers=1, num_decoder_layers=1)
    [found] = test_text_to_text.write(folder, [INPUT], max_new_tokens=4)
    test_text_to_text.assert_written([found], generation.plain(folder, [INPUT], prompt=WORDS + 2, max_new_tokens=4))
    assert (found["prompt_tokens"], found["truncated"]) == (WORDS + 2, False)
