"""Long texts of token-classification, read in windows: no token and no entity is lost or doubled at a seam."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from transformers.pipelines.token_classification import AggregationStrategy

from tests import scoring, tagging, tiny
from tests.conformance.base import assert_same

#: The tiny models take 64 tokens.
ROOM: Final = 62
LABELS: Final = ("O", "B-PER", "I-PER", "B-LOC")


def text_of(words: int, seed: int = 3) -> str:
    """Words of one token, words of several and words beyond the vocabulary."""
    draw = random.Random(seed)
    return " ".join(draw.choices([*tiny.WORDS, "catsat", "hello,", "שלום", "😀"], k=words))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tagging.save(tmp_path_factory.mktemp("windows") / "model")


def test_an_entity_across_a_seam_is_one(tmp_path: Path) -> None:
    """Windows ``the people come down``, ``come down now that``, ``now that you``, with what each says of its tokens.

    ``come`` is read from the first window and ``down`` from the second, ``now`` from the second and ``that`` from the
    third: else there were a place, a second person, or a person of two words.
    """
    made = scoring.scorer(
        tagging.save(tmp_path / "model", labels=LABELS),
        params={"long_text": "chunk", "max_length": 6, "stride": 2, "aggregation": "simple"},
    )
    said = [
        [("O", 1.0), ("O", 0.9), ("B-PER", 0.8), ("I-PER", 0.6), ("B-LOC", 0.9), ("O", 1.0)],
        [("O", 1.0), ("B-LOC", 0.9), ("I-PER", 0.4), ("O", 0.9), ("B-PER", 0.7), ("O", 1.0)],
        [("O", 1.0), ("B-PER", 0.5), ("O", 0.8), ("O", 0.9), ("O", 1.0)],
    ]
    outputs = [np.array([(LABELS.index(label), score) for label, score in one], np.float32) for one in said]
    made.task.forward = lambda _, items: [outputs[item] for item in items]
    [row] = scoring.rows(made, text=["the people come down now that you"])
    assert row is not None
    [entity] = row["entities"]
    assert entity == {"entity": "PER", "score": pytest.approx(0.6), "word": "people come down", "start": 4, "end": 20}
    assert (row["tokens"], row["truncated"], row["error"]) == (17, False, None)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("kind", ["wordpiece", "bytes"])
def test_every_token_of_the_text_is_read_once_and_in_order(tmp_path: Path, kind: str, side: str) -> None:
    folder = tagging.save(tmp_path / "model", kind=kind)
    made = tagging.tokenizer_of(folder)
    made.truncation_side = side
    made.save_pretrained(folder)
    texts = [text_of(words, seed=words) for words in (0, 1, 4, 5, 9, 40)]
    whole = [made(text, return_offsets_mapping=True, verbose=False) for text in texts]
    want = [one["offset_mapping"][1:-1] for one in whole]
    for size, stride in [(3, 0), (4, 1), (7, 0), (7, 1), (7, 3), (7, 4), (12, None), (64, 61)]:
        params = {"long_text": "chunk", "max_length": size, "stride": stride, "aggregation": "none"}
        rows = scoring.rows(scoring.scorer(folder, params={**params, "ignore_labels": []}), text=texts)
        assert [[(one["start"], one["end"]) for one in row["entities"]] for row in rows if row] == want


@pytest.fixture(scope="module")
def long(folder: Path) -> tuple[str, Any, list[int], np.ndarray, list[Any]]:
    """A text of more than 5,000 tokens: its tokens, their scores from plain transformers, and their places."""
    text, pipe = text_of(4700), tagging.plain(folder)
    whole = pipe.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    ids, stride = whole["input_ids"], ROOM // 8
    assert len(ids) > 5000
    scores, context = np.zeros((len(ids), len(tagging.LABELS)), np.float32), np.full(len(ids), -1.0)
    for start in range(0, len(ids) - stride, ROOM - stride):
        stop = min(start + ROOM, len(ids))
        with torch.no_grad():
            logits = pipe.model(torch.tensor([[2, *ids[start:stop], 3]])).logits[0, 1:-1]
        for token, found in zip(range(start, stop), logits.softmax(dim=-1).numpy(), strict=True):
            edges = [token - start] * (start > 0) + [stop - 1 - token] * (stop < len(ids))
            if min(edges, default=np.inf) > context[token]:
                scores[token], context[token] = found, min(edges, default=np.inf)
    return text, pipe, ids, scores, whole["offset_mapping"]


@pytest.mark.parametrize("aggregation", ["none", "simple", "first", "average", "max"])
def test_5000_tokens_are_merged_as_one_sequence(folder: Path, long: Any, aggregation: str) -> None:
    text, pipe, ids, scores, places = long
    how = AggregationStrategy(aggregation)
    whole = pipe.gather_pre_entities(text, np.array(ids), scores, places, np.zeros(len(ids)), how)
    want = [tagging.named(one) for one in pipe.aggregate(whole, how)]
    params = {"long_text": "chunk", "aggregation": aggregation}
    [row] = scoring.rows(scoring.scorer(folder, params=params), text=[text])
    assert row is not None
    assert (row["truncated"], row["error"]) == (False, None)
    assert_same(row["entities"], [one for one in want if one["entity"] != "O"])


def test_a_text_that_fits_is_read_as_ever(folder: Path) -> None:
    texts = [text_of(20), "", text_of(25, seed=4)]
    plain = scoring.rows(scoring.scorer(folder), text=texts)
    assert_same(scoring.rows(scoring.scorer(folder, params={"long_text": "chunk"}), text=texts), plain)


def test_a_long_text_may_be_an_error_or_cut(folder: Path) -> None:
    texts = [text_of(20), text_of(100)]
    short, long = scoring.rows(scoring.scorer(folder, params={"long_text": "error"}), text=texts)
    assert short is not None
    assert long is not None
    assert (short["error"], long["error"]["code"], long["entities"]) == (None, "too_long", None)
    [row] = scoring.rows(scoring.scorer(folder), text=texts[1:])
    assert row is not None
    assert (row["tokens"], row["truncated"]) == (64, True)
    assert_same([row["entities"]], tagging.expected(folder, texts[1:], aggregation_strategy="simple"))
