"""Tiny token classifiers with the three common kinds of tokenizers, and what transformers' pipeline makes of texts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests import tiny

#: Names as models have them: with and without B- and I-, with other prefixes, with a hyphen of their own.
LABELS: Final = ("O", "B-PER", "I-PER", "E-PER", "B-LOC-CITY", "I-LOC-CITY", "MISC")
SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
NAMES: Final = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))


def save(folder: Path, architecture: str = "bert", kind: str = "wordpiece", **overrides: Any) -> Path:
    """Saves a tiny token classifier; kind is that of its tokenizer: wordpiece, bytes or blanks."""
    id2label = dict(enumerate(overrides.pop("labels", LABELS)))
    names = {"id2label": id2label, "label2id": {label: i for i, label in id2label.items()}}
    tiny.save(folder, architecture, head="TokenClassification", **{"vocab_size": 500, **names, **overrides})
    if kind != "wordpiece":
        {"bytes": byte_level, "blanks": blanks}[kind]().save_pretrained(folder)
    return folder


def byte_level() -> Any:
    """BPE over bytes, as RoBERTa has it: a character may be several tokens, and none is unknown."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    merges = []
    for word in tiny.WORDS[:60]:
        for end in range(1, len(word) + 1):
            pair = (f"Ġ{word}"[:end], word[end - 1])
            if "".join(pair) not in vocabulary:
                vocabulary["".join(pair)] = len(vocabulary)
                merges.append(pair)
    made = Tokenizer(models.BPE(vocabulary, merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.RobertaProcessing(("[SEP]", 3), ("[CLS]", 2), True, False)
    return _fast(made)


def blanks() -> Any:
    """Unigram pieces of a text whose blanks are characters, as SentencePiece has them: offsets hold the blank."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    scores = {
        "▁": -3.0,
        **{f"▁{word}": -4.0 for word in tiny.WORDS},
        **dict.fromkeys("abcdefghijklmnopqrstuvw.,", -8.0),
    }
    made = Tokenizer(models.Unigram([*((token, 0.0) for token in SPECIAL), *scores.items()], 1, False))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    return _fast(made)


def _fast(made: Any) -> Any:
    from transformers import PreTrainedTokenizerFast

    names = ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=64, model_input_names=names, **NAMES)


def plain(folder: Path, **arguments: Any) -> Any:
    """transformers' own pipeline over a folder, in float32 on the CPU."""
    import torch
    from transformers import AutoModelForTokenClassification, pipeline

    model = AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32)
    tokenizer = tokenizer_of(folder)
    return pipeline("token-classification", model=model, tokenizer=tokenizer, device="cpu", **arguments)


def expected(folder: Path, texts: Sequence[str], **arguments: Any) -> list[list[dict[str, Any]]]:
    """The entities of each text by the pipeline, one text at a time, in the names of our struct."""
    made = plain(folder, **arguments)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Tokenizer does not support real words")
        return [[named(one) for one in made(text)] for text in texts]


def named(entity: dict[str, Any]) -> dict[str, Any]:
    """An entity of the pipeline in the names of our struct."""
    name = entity["entity_group"] if "entity_group" in entity else entity["entity"]
    return {"entity": name, "score": float(entity["score"]), **{k: entity[k] for k in ("word", "start", "end")}}


def tokenizer_of(folder: Path) -> Any:
    """The tokenizer of a folder, as transformers loads it."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)
