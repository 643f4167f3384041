from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.chat.continued import continued, plain
from tests import talks

#: Pairs that tokens of their texts are made of: what is written letter by letter is cut otherwise than its text is.
MERGES = (("a", "b"), ("ab", "c"), ("Ġ", "d"))
BEFORE = "<|im_start|>user\nabc<|im_end|>\n<|im_start|>assistant\n"
NEXT = "\n<|im_start|>user\nd abc<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return talks.tokenizer(merges=MERGES)


def letters(tokenizer: Any, text: str) -> list[int]:
    return [token for letter in text for token in tokenizer(letter, add_special_tokens=False)["input_ids"]]


def extended(tokenizer: Any, written: list[int], text: str, before: str = BEFORE) -> list[int] | None:
    """What is behind the prompt's tokens, which have to stand in front."""
    prompt = plain(tokenizer, before)
    ids = continued(tokenizer, before=before, prompt=prompt, written=np.array(written, np.int64), text=text)
    if ids is None:
        return None
    assert ids[: len(prompt)].tolist() == prompt.tolist()
    assert tokenizer.decode(ids) == text
    return ids[len(prompt) :].tolist()


def test_written_tokens_stay_as_the_model_cut_them(tokenizer: Any) -> None:
    written = [*letters(tokenizer, "abc dabc"), talks.END]
    assert len(plain(tokenizer, "abc dabc")) == 3
    found = extended(tokenizer, written, f"{BEFORE}abc dabc<|im_end|>{NEXT}")
    assert found == [*written, *plain(tokenizer, NEXT)]


def test_an_answer_that_was_cut_by_its_length_gets_the_templates_end(tokenizer: Any) -> None:
    written = letters(tokenizer, "abca")
    found = extended(tokenizer, written, f"{BEFORE}abca<|im_end|>{NEXT}")
    assert found == [*written, talks.END, *plain(tokenizer, NEXT)]


def test_another_end_token_gives_way_to_the_templates(tokenizer: Any) -> None:
    written = letters(tokenizer, "ca")
    found = extended(tokenizer, [*written, talks.OTHER_END], f"{BEFORE}ca<|im_end|>{NEXT}")
    assert found == [*written, talks.END, *plain(tokenizer, NEXT)]


def test_a_text_cut_before_its_stop_string_keeps_what_stands_before_it(tokenizer: Any) -> None:
    written = [*letters(tokenizer, "ca"), *plain(tokenizer, "abc"), *letters(tokenizer, "j")]  # stop: bcj
    found = extended(tokenizer, written, f"{BEFORE}caa<|im_end|>{NEXT}")
    assert found == [*letters(tokenizer, "caa"), talks.END, *plain(tokenizer, NEXT)]


def test_an_empty_answer(tokenizer: Any) -> None:
    assert extended(tokenizer, [talks.END], f"{BEFORE}<|im_end|>{NEXT}") == [talks.END, *plain(tokenizer, NEXT)]
    assert extended(tokenizer, [], f"{BEFORE}<|im_end|>{NEXT}") == [talks.END, *plain(tokenizer, NEXT)]


def test_what_the_template_leaves_out_is_not_kept(tokenizer: Any) -> None:
    written = [*letters(tokenizer, " \nab"), talks.END]
    found = extended(tokenizer, written, f"{BEFORE}ab<|im_end|>{NEXT}")  # trimmed: the prompt's tokens stay
    assert found == [*plain(tokenizer, "ab"), talks.END, *plain(tokenizer, NEXT)]
    assert extended(tokenizer, written, f"<|im_start|>user\nb<|im_end|>{NEXT}") is None


def test_half_a_character_is_not_kept() -> None:
    from tokenizers import decoders

    made = talks.tokenizer()
    made.backend_tokenizer.add_tokens(["Ã", "©"])  # two bytes of é, as byte-level vocabularies spell them
    made.backend_tokenizer.decoder = decoders.ByteLevel()
    first, second = made.convert_tokens_to_ids(["Ã", "©"])
    prompt = plain(made, BEFORE)
    assert made.decode([first, second]) == "é"
    written = np.array([*letters(made, "ab"), first, talks.END])
    text = f"{BEFORE}ab\ufffd<|im_end|>{NEXT}"
    ids = continued(made, before=BEFORE, prompt=prompt, written=written, text=text)
    assert ids is None or ids[: len(prompt) + 2].tolist() == [*prompt, *letters(made, "ab")]


@pytest.mark.parametrize("scheme", ["always", "first"])
def test_a_tokenizer_that_writes_no_space_at_a_texts_start(scheme: str) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "▁", "▁how", "▁now", "▁so", "how", "so"]
    made = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    made.decoder = decoders.Metaspace(prepend_scheme=scheme)
    made.add_special_tokens(words[1:5])
    own = PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
    before, answer = "<s>[INST] how now[/INST]", " so now"
    prompt, written = plain(own, before), np.array([8, 7, 2])
    text = f"{before}{answer}</s>[INST] how[/INST]"
    ids = continued(own, before=before, prompt=prompt, written=written, text=text)
    assert ids is not None
    assert ids[: len(prompt) + 3].tolist() == [*prompt, *written]
    assert own.decode(ids) == own.decode(plain(own, text))
