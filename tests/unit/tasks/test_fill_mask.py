"""Masks filled as transformers' own pipeline fills them, one text at a time."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer, pipeline

from engine.errors import ModelError, ParameterError
from engine.options import Column
from tests import scoring, tiny

_LAYERS = {"decoder_layers": 1, "decoder_ffn_dim": 64, "decoder_attention_heads": 4}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {},
    "distilbert": {"n_layers": 2, "hidden_dim": 64},
    "deberta-v2": {},
    "modernbert": {},
    "bart": {**_LAYERS, "encoder_layers": 1, "encoder_ffn_dim": 64, "encoder_attention_heads": 4, "eos_token_id": 3},
}


def texts(count: int = 12, mask: str = "[MASK]") -> list[str]:
    """Texts of 0 to 40 words with one to three masks, and odd ones; whole within the tiny models' 64 tokens."""
    draw = random.Random(5)
    made = []
    for _ in range(count):
        words = draw.choices(tiny.WORDS, k=draw.randrange(40))
        for _ in range(draw.choice([1, 1, 2, 3])):
            words.insert(draw.randrange(len(words) + 1), mask)
        made.append(" ".join(words))
    return [
        *made,
        mask,
        mask * 3,
        f"the{mask}cat,{mask}!",
        f"ünïcode 😀 {mask} שלום",
        f"{mask} [SEP] a [PAD] day",
        made[2],
    ]


def save(folder: Path, architecture: str = "bert") -> Path:
    return tiny.save(folder, architecture, head="MaskedLM", **ARCHITECTURES[architecture])


def byte_level(folder: Path) -> Path:
    """A RoBERTa with a byte-level tokenizer, whose ``<mask>`` takes the space before it as RoBERTa's does."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *letters, "Ġt", "Ġth", "Ġthe"])}
    made = Tokenizer(models.BPE(vocabulary, [("Ġ", "t"), ("Ġt", "h"), ("Ġth", "e")]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made,
        model_max_length=64,
        mask_token=AddedToken("<mask>", lstrip=True, special=True),
        model_input_names=["input_ids", "attention_mask"],
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
    )
    tiny.save(folder, "roberta", head="MaskedLM", vocab_size=len(tokenizer), pad_token_id=1)
    tokenizer.save_pretrained(folder)
    return folder


def plain(folder: Path, values: list[str], **options: Any) -> list[list[list[dict[str, Any]]]]:
    """What the pipeline says of each text: for each mask the tokens, best first."""
    model = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32)
    made = pipeline("fill-mask", model=model, tokenizer=AutoTokenizer.from_pretrained(folder), device="cpu")
    found = [made(value, **options) for value in values]
    return [[one] if isinstance(one[0], dict) else one for one in found]


def assert_filled(found: list[Any], expected: list[list[list[dict[str, Any]]]]) -> None:
    for row, masks in zip(found, expected, strict=True):
        assert row["error"] is None
        assert len(row["masks"]) == len(masks)
        for filled, want in zip(row["masks"], masks, strict=True):
            assert [one["token"] for one in filled] == [one["token_str"] for one in want]
            assert [one["sequence"] for one in filled] == [one["sequence"] for one in want]
            scores = [one["score"] for one in want]
            assert [one["score"] for one in filled] == pytest.approx(scores, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_masks_are_filled_as_the_pipeline_fills_them(tmp_path: Path, architecture: str) -> None:
    folder = save(tmp_path / "model", architecture)
    found = scoring.rows(scoring.scorer(folder, task="fill-mask", batch_tokens=256), text=texts())
    assert_filled(found, plain(folder, texts()))


def test_a_mask_that_takes_the_space_before_it_is_filled_as_the_pipeline_fills_it(tmp_path: Path) -> None:
    folder, values = byte_level(tmp_path / "model"), texts(5, "<mask>")
    short = [value for value in values if len(value) < 60]
    assert len(short) > 5
    found = scoring.rows(scoring.scorer(folder, params={"top_k": 300}), text=short)
    best = [{**row, "masks": [mask[:20] for mask in row["masks"]]} for row in found]
    assert_filled(best, plain(folder, short, top_k=20))
    assert len(found[0]["masks"][0]) == 264  # the whole vocabulary, mask and all
    assert " the" in {one["token"] for one in found[0]["masks"][0]}


def test_targets_are_chosen_as_the_pipeline_chooses_them(tmp_path: Path) -> None:
    """A token, a word whose first token counts, one no token is made of, and one given twice."""
    folder, targets = save(tmp_path / "model"), ["water", "cat", "", "no", "c", "no"]
    found = scoring.rows(scoring.scorer(folder, params={"targets": targets}), text=texts(4))
    assert_filled(found, plain(folder, texts(4), targets=targets))
    assert {one["token"] for one in found[0]["masks"][0]} == {"water", "c", "no"}
    whole = scoring.rows(scoring.scorer(folder, params={"top_k": 1000}), text=texts(4))
    scores = {one["token"]: one["score"] for one in whole[0]["masks"][0]}
    assert found[0]["masks"][0][0]["score"] == max(scores[token] for token in ("water", "c", "no"))


def test_targets_of_which_none_makes_a_token_are_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "model")
    with pytest.raises(ParameterError, match="expected targets to hold words, got only empty ones"):
        scoring.scorer(folder, params={"targets": [""]})
    made = scoring.scorer(folder, params={"targets": Column("choose")})
    columns = {"choose": [["the"], [" ", "\t"], None, [""]], "text": ["a [MASK]"] * 4}
    one, blank, default, empty = scoring.rows(made, **columns)
    assert [len(row["masks"][0]) for row in (one, default)] == [1, 5]
    assert [row["error"]["code"] for row in (blank, empty)] == ["invalid_parameter"] * 2
    assert "none of these makes one" in blank["error"]["message"]


def test_a_text_without_a_mask_is_an_error_of_its_row(tmp_path: Path) -> None:
    values = ["the [MASK] day", "the day", "", "the " * 90, "[mask] day", "a [MASK]"]
    folder = save(tmp_path / "model")
    found = scoring.rows(scoring.scorer(folder), text=values)
    codes = [row["error"] and row["error"]["code"] for row in found]
    assert codes == [None, "no_mask", "no_mask", "no_mask", "no_mask", None]
    assert found[1]["error"]["message"] == "expected a text with a mask, [MASK] for this model; there is none"
    assert [found[1][name] for name in ("masks", "tokens", "truncated")] == [None] * 3
    assert_filled([found[0], found[5]], plain(folder, [values[0], values[5]]))


def test_a_mask_behind_the_cut_is_an_error_and_one_before_it_is_filled(tmp_path: Path) -> None:
    """Of 5,000 words the first 62 fit between the special tokens."""
    filler = " ".join(tiny.WORDS[i % 90] for i in range(5000))
    before, last = f"a [MASK] {filler}", " ".join(["the"] * 61) + f" [MASK] {filler}"
    behind, both = " ".join(["the"] * 62) + f" [MASK] {filler}", f"[MASK] {filler} [MASK]"
    folder = save(tmp_path / "model")
    found = scoring.rows(scoring.scorer(folder), text=[before, behind, last, both])
    assert [row["error"] and row["error"]["code"] for row in found] == [None, "too_long", None, "too_long"]
    assert found[1]["error"]["message"].startswith("expected every mask among the first 64 tokens, one lies behind")
    assert [(found[i]["tokens"], found[i]["truncated"]) for i in (0, 2)] == [(64, True)] * 2
    options = {"truncation": True, "max_length": 64}
    assert_filled([found[0], found[2]], plain(folder, [before, last], tokenizer_kwargs=options))
    [row] = scoring.rows(scoring.scorer(folder, params={"long_text": "error"}), text=[before])
    assert row["error"]["code"] == "too_long"


def test_a_pretraining_checkpoint_has_the_head_too(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model", head="PreTraining")
    found = scoring.rows(scoring.scorer(folder, task="fill-mask"), text=texts(3))
    assert_filled(found, plain(folder, texts(3)))


def test_a_tokenizer_without_a_mask_is_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "model")
    tiny.tokenizer(mask_token=None).save_pretrained(folder)
    with pytest.raises(ModelError, match="expected a tokenizer with a mask token for fill-mask, this one has none"):
        scoring.scorer(folder)


def test_a_model_that_gives_nan_fills_no_mask(tmp_path: Path) -> None:
    folder = save(tmp_path / "model")
    model = AutoModelForMaskedLM.from_pretrained(folder)
    with torch.no_grad():
        model.cls.predictions.bias[7] = float("nan")
    model.save_pretrained(folder)
    found = scoring.rows(scoring.scorer(folder), text=["a [MASK]", "[MASK] and [MASK]"])
    assert [row["error"]["code"] for row in found] == ["non_finite"] * 2
