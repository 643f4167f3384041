"""Tiny random models with real tokenizers, saved as Hugging Face folders: made in a moment, offline, seeded."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

_TEXT: Final = """
the a and of to in is it you that was for on are with as his they be at one have this from or had by hot but
some what there we can out other were all your when up use word how said an each she which do their time if will
way about many then them would write like so these her long make thing see him two has look more day could go
come did my sound no most number who over know water than call first people may down side been now find
"""
WORDS: Final = _TEXT.split()
_SEQUENCES: Final = {
    **{f"{side}_{size}": 2 for side in ("encoder", "decoder") for size in ("layers", "attention_heads")},
    **{f"{side}_ffn_dim": 64 for side in ("encoder", "decoder")},
    "bos_token_id": 2,
    "eos_token_id": 3,
    "decoder_start_token_id": 3,
    "forced_eos_token_id": None,
}
PIECES = [*"abcdefghijklmnopqrstuvwxyz0123456789.,!?'-", *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz0123456789")]


def tokenizer(max_length: int = 64, **arguments: Any) -> Any:
    """A WordPiece tokenizer with BERT's special tokens; ``arguments`` go to the tokenizer's own class."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *PIECES])}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=max_length, **{**names, **arguments})


def config(architecture: str, **overrides: Any) -> Any:
    """A tiny configuration of an architecture: bert, roberta, deberta-v2 (relative positions), modernbert (rotary)."""
    from transformers import AutoConfig

    sizes: dict[str, Any] = {
        "vocab_size": len(WORDS) + len(PIECES) + 5,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 66,
        "pad_token_id": 0,
    }
    own: dict[str, dict[str, Any]] = {
        "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8},
        "t5": {"d_kv": 8, "d_ff": 64, "num_layers": 2, "eos_token_id": 3, "decoder_start_token_id": 0},
        **dict.fromkeys(("bart", "marian", "mbart"), _SEQUENCES),
        "qwen2": {"num_key_value_heads": 2},
        "modernbert": {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3},
    }
    return AutoConfig.for_model(architecture, **{**sizes, **own.get(architecture, {}), **overrides})


def save(
    folder: Path, architecture: str = "bert", *, head: str = "SequenceClassification", seed: int = 0, **overrides: Any
) -> Path:
    """Saves a tiny model with a head ("" for the bare encoder) and its tokenizer; ``overrides`` go to its config.

    Weights are drawn wide enough for labels to differ from row to row.
    """
    import torch
    import transformers

    auto = getattr(transformers, f"AutoModelFor{head}" if head else "AutoModel")
    torch.manual_seed(seed)
    model = auto.from_config(config(architecture, **overrides))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, 0.25)
    model.save_pretrained(folder)
    segments = ["token_type_ids"] if architecture == "bert" else []
    tokenizer(model_input_names=["input_ids", *segments, "attention_mask"]).save_pretrained(folder)
    return folder


def save_tapas(folder: Path, *, seed: int = 0, **overrides: Any) -> Path:
    """Saves a tiny TAPAS, with WTQ's four aggregations unless ``overrides`` say otherwise, and its tokenizer."""
    import torch
    from transformers import AutoModelForTableQuestionAnswering, TapasTokenizer

    vocabulary = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[EMPTY]", *WORDS, *PIECES])
    labels = {0: "NONE", 1: "SUM", 2: "AVERAGE", 3: "COUNT"}
    own = {"num_aggregation_labels": 4, "aggregation_labels": labels, "no_aggregation_label_index": 0}
    own |= {"vocab_size": len(vocabulary), "max_position_embeddings": 128}
    torch.manual_seed(seed)
    model = AutoModelForTableQuestionAnswering.from_config(config("tapas", **{**own, **overrides}))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 or name.endswith("output_weights"):
                parameter.normal_(0.0, 0.25)
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    TapasTokenizer(str(folder / "vocab.txt"), model_max_length=128).save_pretrained(folder)
    return folder
