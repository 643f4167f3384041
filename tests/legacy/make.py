"""Models as MLflow 2 with transformers 4 logged them, made anew with those releases: ``python tests/legacy/make.py``.

Each lies in ``data/<name>``: the artifact folder as ``log_model`` wrote it (without the files about its environment),
and ``expected.json`` with what that release's own pipeline answered. The releases come from PyPI, into environments
that uv makes for the occasion; nothing of this project is imported. Models are tiny, random and seeded.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

DATA: Final = Path(__file__).resolve().parent / "data"
_COMMON: Final = ("numpy<2", "setuptools<60", "protobuf<5")
#: Releases that were current together, and the models made with them.
RELEASES: Final[Sequence[tuple[tuple[str, ...], tuple[str, ...]]]] = (
    (("mlflow==2.3.2", "transformers==4.28.1", "torch==2.1.2"), ("pickled_question_answering",)),
    (
        ("mlflow==2.9.2", "transformers==4.36.2", "torch==2.1.2", "sentencepiece==0.1.99"),
        ("t5_summarization", "bert_question_answering", "marian_translation"),
    ),
    (
        ("mlflow==2.17.2", "transformers==4.46.3", "torch==2.5.1", "peft==0.13.2"),
        ("bart_text2text", "t5_translation", "bert_lora"),
    ),
)
_TEXT: Final = """
the people who were there said that it was a good day and that they would come again if they could find the time
some of them had been on the water for many hours and all they found was one number that no one had seen before
how can you know what a word is for when each of us will use it in a way of our own it is long and it is hot
"""
WORDS: Final = sorted(set(_TEXT.split()))
TEXTS: Final = ("the people who were there", "it was a good day and they would come again", "how can you know")


def main() -> None:
    """Every model in its releases; ``--log NAME`` is what runs in them."""
    if sys.argv[1:2] == ["--log"]:
        MODELS[sys.argv[2]](sys.argv[2])
        return
    for packages, names in RELEASES:
        asked = [word for package in (*packages, *_COMMON) for word in ("--with", package)]
        for name in names:
            command = ["uv", "run", "--no-project", "--isolated", "--python", "3.11", *asked, __file__, "--log", name]
            subprocess.run(command, check=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})  # no model card is asked for


def t5_summarization(name: str) -> None:
    """T5 with its slow tokenizer (spiece.model alone), as a pipeline, with parameters in model_config."""
    from transformers import T5Config, T5ForConditionalGeneration, T5Tokenizer, pipeline

    with tempfile.TemporaryDirectory() as temporary:
        tokenizer = T5Tokenizer(str(sentencepiece(Path(temporary))), extra_ids=4, model_max_length=64, legacy=False)
    model = T5ForConditionalGeneration(T5Config(vocab_size=len(tokenizer), **T5_SIZES))
    made = pipeline("summarization", model=drawn(model), tokenizer=tokenizer)
    parameters = {"max_new_tokens": 8, "min_length": 0}
    expected = {"parameters": parameters, "rows": [made(text, **parameters)[0] for text in TEXTS]}
    log(name, made, expected, model_config=parameters)


def bert_question_answering(name: str) -> None:
    """BERT, as a dictionary of components."""
    log(name, *question_answering(), task="question-answering")


def pickled_question_answering(name: str) -> None:
    """The same with releases that wrote the weights as a pickle, in the layout before MLflow 2.4.1."""
    components, _ = question_answering()
    log(name, components, None, task="question-answering")
    for pickled in (DATA / name).rglob("pytorch_model.bin"):
        pickled.write_bytes(b"")  # it is refused by its name: no pickle lies in this repository


def marian_translation(name: str) -> None:
    """Marian with its two sentencepiece models."""
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer, pipeline

    with tempfile.TemporaryDirectory() as temporary:
        spm = str(sentencepiece(Path(temporary)))
        pieces = [line.split("\t")[0] for line in spm_vocabulary(spm)]
        vocabulary = Path(temporary) / "vocab.json"
        vocabulary.write_text(json.dumps({piece: i for i, piece in enumerate([*pieces, "<pad>"])}))
        tokenizer = MarianTokenizer(spm, spm, str(vocabulary), source_lang="en", target_lang="de", model_max_length=64)
        pad = tokenizer.pad_token_id
        sizes = {**BART_SIZES, "pad_token_id": pad, "eos_token_id": tokenizer.eos_token_id}
        config = MarianConfig(vocab_size=len(tokenizer), decoder_start_token_id=pad, forced_eos_token_id=None, **sizes)
        made = pipeline("translation_en_to_de", model=drawn(MarianMTModel(config), 1.0), tokenizer=tokenizer)
        parameters = {"max_new_tokens": 8}
        expected = {"parameters": parameters, "rows": [made(text, **parameters)[0] for text in TEXTS]}
        log(name, made, expected, model_config=parameters)


def bart_text2text(name: str) -> None:
    """BART with a byte-level tokenizer, a prompt template, model_config and signature parameters that overrule it."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
    from transformers import BartConfig, BartForConditionalGeneration, pipeline

    tokenizer = byte_level()
    config = BartConfig(
        vocab_size=len(tokenizer), decoder_start_token_id=2, forced_eos_token_id=None, pad_token_id=1, **BART_SIZES
    )
    made = pipeline("text2text-generation", model=drawn(BartForConditionalGeneration(config)), tokenizer=tokenizer)
    signature = ModelSignature(
        Schema([ColSpec("string")]),
        Schema([ColSpec("string")]),
        ParamSchema([ParamSpec("max_new_tokens", "integer", 8)]),
    )
    template = "they said: {prompt}"
    rows = [made(template.format(prompt=text), max_new_tokens=8, num_beams=2)[0] for text in TEXTS]
    expected = {"parameters": {"max_new_tokens": 8, "num_beams": 2, "prompt_template": template}, "rows": rows}
    written = {"max_new_tokens": 4, "num_beams": 2}
    log(name, made, expected, model_config=written, signature=signature, prompt_template=template)


def t5_translation(name: str) -> None:
    """T5 with its fast tokenizer, under a task that names the languages."""
    from transformers import T5Config, T5ForConditionalGeneration, T5TokenizerFast, pipeline

    tokenizer = T5TokenizerFast(tokenizer_object=words("<unk>", "<pad>", "</s>"), extra_ids=0, model_max_length=64)
    sizes = {**T5_SIZES, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    model = T5ForConditionalGeneration(T5Config(vocab_size=len(tokenizer), **sizes))
    made = pipeline("translation_en_to_fr", model=drawn(model), tokenizer=tokenizer)
    parameters = {"max_new_tokens": 8}
    expected = {"parameters": parameters, "rows": [made(text, **parameters)[0] for text in TEXTS]}
    log(name, made, expected, model_config=parameters)


def bert_lora(name: str) -> None:
    """A LoRA adapter over a BERT that has no name on the hub: MLflow writes base and adapter."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import BertConfig, BertForSequenceClassification, pipeline

    tokenizer = bert_tokenizer()
    labels = {0: "bad", 1: "good", 2: "neither"}
    base = drawn(BertForSequenceClassification(BertConfig(vocab_size=len(tokenizer), id2label=labels, **BERT_SIZES)))
    model = get_peft_model(base, LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=8, target_modules=["query", "value"]))
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "lora_B" in key or "modules_to_save" in key:
                parameter.normal_(0.0, 0.5)
    made = pipeline("text-classification", model=model.eval(), tokenizer=tokenizer)
    rows = [sorted(made(text, top_k=None), key=lambda row: row["label"]) for text in TEXTS]
    log(name, made, {"parameters": {"top_k": None}, "rows": rows})


MODELS: Final[Mapping[str, Callable[[str], None]]] = {
    made.__name__: made
    for made in (
        pickled_question_answering,
        t5_summarization,
        bert_question_answering,
        marian_translation,
        bart_text2text,
        t5_translation,
        bert_lora,
    )
}
T5_SIZES: Final = {
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 32,
    "num_layers": 1,
    "num_heads": 2,
    "pad_token_id": 0,
    "decoder_start_token_id": 0,
}
BART_SIZES: Final = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 64,
}
BERT_SIZES: Final = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
}


def question_answering() -> tuple[dict[str, Any], dict[str, Any]]:
    """A tiny BERT for questions, and what its pipeline answers."""
    from transformers import BertConfig, BertForQuestionAnswering, pipeline

    tokenizer = bert_tokenizer()
    model = drawn(BertForQuestionAnswering(BertConfig(vocab_size=len(tokenizer), **BERT_SIZES)))
    made = pipeline("question-answering", model=model, tokenizer=tokenizer)
    asked = [{"question": "how can you know", "context": text.strip()} for text in _TEXT.strip().split("\n")]
    return {"model": model, "tokenizer": tokenizer}, {"inputs": asked, "rows": [made(one) for one in asked]}


def log(name: str, model: Any, expected: Any, **arguments: Any) -> None:
    """``log_model`` into a store that lasts as long as this, then the artifact to ``data/<name>``."""
    import mlflow

    with tempfile.TemporaryDirectory() as temporary:
        mlflow.set_tracking_uri((Path(temporary) / "store").as_uri())
        with mlflow.start_run():
            logged = mlflow.transformers.log_model(
                model, artifact_path="model", pip_requirements=["transformers", "torch"], **arguments
            )
            shutil.rmtree(DATA / name, ignore_errors=True)
            shutil.copytree(mlflow.artifacts.download_artifacts(logged.model_uri), DATA / name)
    for written in ("conda.yaml", "python_env.yaml", "requirements.txt", "LICENSE.txt", "peft/README.md"):
        (DATA / name / written).unlink(missing_ok=True)
    if expected is not None:
        (DATA / name / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")


def drawn(model: Any, width: float = 0.4) -> Any:
    """The model with weights wide enough for its answers to differ from text to text."""
    import torch

    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1 and parameter.requires_grad:  # positions that are computed are not saved
                parameter.normal_(0.0, width)
    return model.eval()


def bert_tokenizer() -> Any:
    """BERT's, over whole words and their letters."""
    from transformers import BertTokenizerFast

    letters = sorted(set("".join(WORDS)))
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters, *(f"##{one}" for one in letters)]
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "vocab.txt"
        file.write_text("\n".join(dict.fromkeys(pieces)))
        return BertTokenizerFast(str(file), model_max_length=64)


def byte_level() -> Any:
    """BART's, trained on the text above."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import BartTokenizerFast

    made = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    made.train_from_iterator(_TEXT.split("\n"), vocab_size=300, special_tokens=special, show_progress=False)
    with tempfile.TemporaryDirectory() as temporary:
        made.save_model(temporary)
        return BartTokenizerFast(f"{temporary}/vocab.json", f"{temporary}/merges.txt", model_max_length=64)


def words(unknown: str, pad: str, end: str) -> Any:
    """A tokenizer of whole words in T5's form: a unigram model that ends each text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    letters = sorted(set("".join(WORDS)))
    pieces = [unknown, pad, end, *(f"▁{word}" for word in WORDS), "▁", ":", *letters]
    made = Tokenizer(models.Unigram([(piece, -1.0 - 0.01 * i) for i, piece in enumerate(pieces)], 0))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    made.post_processor = processors.TemplateProcessing(
        single=f"$A {end}", pair=f"$A {end} $B {end}", special_tokens=[(end, pieces.index(end))]
    )
    return made


def sentencepiece(folder: Path) -> Path:
    """A sentencepiece model trained on the text above, with T5's special tokens."""
    from sentencepiece import SentencePieceTrainer

    text = folder / "text"
    text.write_text(_TEXT)
    SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "spm"), vocab_size=90, hard_vocab_limit=False,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, pad_piece="<pad>", normalization_rule_name="identity", minloglevel=2,
    )  # fmt: skip
    return folder / "spm.model"


def spm_vocabulary(path: str) -> list[str]:
    """The pieces of a sentencepiece model, its padding left out."""
    from sentencepiece import SentencePieceProcessor

    model = SentencePieceProcessor(model_file=path)
    return [model.id_to_piece(i) for i in range(model.get_piece_size()) if model.id_to_piece(i) != "<pad>"]


if __name__ == "__main__":
    main()
