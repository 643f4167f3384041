"""Other people's names for tasks and parameters."""

from __future__ import annotations

import pytest

from engine.errors import UnsupportedTaskError
from engine.models.names import languages, params_of, task_of
from engine.schema import SCHEMAS


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("sentiment-analysis", "text-classification"),
        ("text-to-speech", "text-to-audio"),
        ("ner", "token-classification"),
        ("translation_en_to_de", "translation"),
        ("translation_zh_Hans_to_pt_BR", "translation"),
        ("translation", "translation"),
        ("llm/v1/completions", "llm/v1/completions"),
        ("conversational", "llm/v1/chat"),
        ("text-to-poetry", "text-to-poetry"),
    ],
)
def test_a_task_has_our_name(name: str, ours: str) -> None:
    assert task_of(name) == ours


def test_our_own_names_are_kept() -> None:
    assert {name: task_of(name) for name in SCHEMAS} == {name: name for name in SCHEMAS}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("vqa", "images and video are not scored; run it through mlflow.pyfunc.spark_udf"),
        ("image-classification", "images and video are not scored"),
        ("video-classification", "images and video are not scored"),
    ],
)
def test_what_is_not_scored_is_refused_with_what_to_do(name: str, words: str) -> None:
    with pytest.raises(UnsupportedTaskError, match=rf"expected a task on texts or audio, got {name}: ") as caught:
        task_of(name)
    assert words in str(caught.value)


def test_a_name_may_hold_languages() -> None:
    assert languages("translation_en_to_de") == {"source_language": "en", "target_language": "de"}
    assert languages("translation_zh_Hans_to_pt_BR") == {"source_language": "zh_Hans", "target_language": "pt_BR"}
    assert languages("translation") == languages("summarization") == {}


def test_parameters_have_our_names() -> None:
    assert params_of("token-classification", {"aggregation_strategy": "first"}) == {"aggregation": "first"}
    assert params_of("translation", {"src_lang": "en", "tgt_lang": "de", "max_length": 9}) == {
        "source_language": "en",
        "target_language": "de",
        "max_new_tokens": 8,
    }
    assert params_of("text-classification", {"src_lang": "en", "top_k": 1}) == {"src_lang": "en", "top_k": 1}


def test_a_stride_alone_asks_for_windows() -> None:
    """As of transformers' pipeline of token-classification, which reads the whole text where it has a stride."""
    task = "token-classification"
    assert params_of(task, {"stride": 2}) == {"stride": 2, "long_text": "chunk"}
    assert params_of(task, {"stride": 0}) == {"stride": 0, "long_text": "chunk"}
    assert params_of(task, {"stride": 2, "long_text": "error"}) == {"stride": 2, "long_text": "error"}
    assert params_of(task, {"stride": None}) == {"stride": None}
    assert params_of("embeddings", {"stride": 2}) == {"stride": 2}


def test_stop_strings_are_a_list_under_whichever_name() -> None:
    for task in ("text-generation", "llm/v1/completions", "summarization", "translation", "text2text-generation"):
        for name in ("stop", "stop_sequence", "stop_strings"):
            assert params_of(task, {name: "end", "top_k": 5}) == {"stop": ["end"], "top_k": 5}
            assert params_of(task, {name: ["end", "."]}) == {"stop": ["end", "."]}
            assert params_of(task, {name: None}) == {}
        assert params_of(task, {"stop_strings": ["a"], "stop_sequence": "b"}) == {"stop": ["b"]}
        assert params_of(task, {"stop_strings": ["a"], "stop_sequence": None}) == {"stop": ["a"]}
    assert params_of("text-classification", {"stop_strings": "end"}) == {"stop_strings": "end"}


def test_bounds_of_a_text_are_numbers_of_new_tokens() -> None:
    """transformers counts the decoder's first token in, and takes max_new_tokens where both are given."""
    for task in ("summarization", "translation", "text2text-generation"):
        assert params_of(task, {"max_length": 30, "min_length": 5}) == {"max_new_tokens": 29, "min_new_tokens": 4}
        assert params_of(task, {"max_length": 1, "min_length": 0}) == {"max_new_tokens": 1, "min_new_tokens": 0}
        assert params_of(task, {"max_length": 30, "max_new_tokens": 4}) == {"max_new_tokens": 4}
        assert params_of(task, {"num_return_sequences": 2, "max_length": None}) == {"n": 2}


def test_a_chats_parameters_have_openais_names() -> None:
    logged = {"max_new_tokens": 9, "min_new_tokens": 2, "num_return_sequences": 2, "stop_strings": "a", "top_p": None}
    assert params_of("llm/v1/chat", logged) == {"max_tokens": 9, "min_tokens": 2, "n": 2, "stop": ["a"]}
    assert params_of("llm/v1/chat", {"do_sample": False, "temperature": 0.7, "top_p": 0.5}) == {"temperature": 0}
    assert params_of("llm/v1/chat", {"do_sample": True, "top_p": 0.5}) == {"temperature": 1.0, "top_p": 0.5}
    assert params_of("llm/v1/chat", {"do_sample": True, "temperature": 0.7}) == {"temperature": 0.7}
    assert params_of("llm/v1/chat", {"max_length": 30}) == {"max_length of prompt and text together": 30}


def test_a_length_that_counts_the_prompt_does_not_cut_it() -> None:
    assert params_of("text-generation", {"max_length": 30, "top_k": 5}) == {
        "max_length of prompt and text together": 30,
        "top_k": 5,
    }
    assert params_of("text-classification", {"max_length": 30}) == {"max_length": 30}


@pytest.mark.parametrize(
    ("logged", "ours"),
    [
        ({"return_timestamps": True}, {"timestamps": "segments"}),
        ({"return_timestamps": "word"}, {"timestamps": "words"}),
        ({"return_timestamps": False}, {"timestamps": "none"}),
        ({"return_timestamps": "char"}, {"return_timestamps": "char"}),  # left out later, and named
        ({"chunk_length_s": 30}, {"long_form": "fast", "window_s": 30, "stride_s": 5.0}),
        ({"chunk_length_s": 20, "stride_length_s": [4, 2]}, {"long_form": "fast", "window_s": 20, "stride_s": 4}),
        ({"chunk_length_s": 20, "stride_length_s": 3}, {"long_form": "fast", "window_s": 20, "stride_s": 3}),
        ({"chunk_length_s": 0}, {}),  # the pipeline's default, and a CTC model has no long form
        ({"generate_kwargs": {"task": "translate", "language": "de"}}, {"speech_task": "translate", "language": "de"}),
        ({"temperature": 0.0}, {"temperatures": [0.0]}),
        ({"generate_kwargs": {"temperature": (0.0, 0.5)}}, {"temperatures": (0.0, 0.5)}),
        ({"condition_on_prev_tokens": True, "logprob_threshold": None}, None),
        (dict.fromkeys(("return_timestamps", "chunk_length_s", "stride_length_s", "generate_kwargs")), {}),
    ],
)
def test_what_a_pipeline_of_speech_takes(logged: dict[str, object], ours: dict[str, object] | None) -> None:
    expected = {"condition_on_previous": True, "logprob_threshold": None} if ours is None else ours
    assert params_of("automatic-speech-recognition", logged) == expected


def test_what_a_speaking_pipeline_was_logged_with_has_our_names() -> None:
    voice = [0.5, 1.0]
    for nested in ({"speaker_embeddings": voice}, {"speaker_embeddings": [voice]}):
        for name in ("forward_params", "generate_kwargs"):
            assert params_of("text-to-audio", {name: nested, "seed": 1}) == {"speaker_embedding": voice, "seed": 1}
    assert params_of("text-to-audio", {"forward_params": {"speaker_id": 2, "speaking_rate": 1.5}}) == {
        "speaker_id": 2,
        "speaking_rate": 1.5,
    }
    assert params_of("text-to-audio", {"speaker_ids": 2}) == {"speaker_id": 2}
    assert params_of("embeddings", {"forward_params": {"a": 1}}) == {"forward_params": {"a": 1}}
