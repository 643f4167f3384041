"""What is written for many segments at once, against transformers' ``generate`` on each alone."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import transformers

from engine.errors import ModelError, ParameterError, RowError, UnsupportedTaskError
from engine.speech.decoder import Decoder, Rules, Written
from tests import speech_models

#: Windows of 6 s: what is written depends on them no less, and they are heard in a fifth of the time.
_POSITIONS = 300
_SEGMENTS = 6


class Tiny(NamedTuple):
    model: Any
    words: Any
    features: np.ndarray
    decoder: Decoder
    states: Any

    def ids(self, *names: str) -> list[int]:
        return list(self.words.convert_tokens_to_ids([f"<|{name}|>" for name in names]))


def _tiny(**arguments: Any) -> Tiny:
    settings = {"max_length": 60}
    model, words = speech_models.model(max_source_positions=_POSITIONS, settings=settings, **arguments)
    features = speech_models.features(_SEGMENTS, frames=2 * _POSITIONS)
    decoder = Decoder(model, words)
    return Tiny(model, words, features, decoder, decoder.encode(features))


@pytest.fixture(scope="module")
def tiny() -> Tiny:
    return _tiny()


def _plain(tiny: Tiny, segment: int, timestamps: bool, **arguments: Any) -> Any:
    """What ``generate`` gives for one segment: all tokens, the prompt's and the end token among them, and scores."""
    return copy.deepcopy(tiny.model).generate(
        torch.from_numpy(tiny.features[segment : segment + 1]),
        return_timestamps=timestamps,
        force_unique_generate_call=True,
        return_dict_in_generate=True,
        output_scores=True,
        **arguments,
    )


def _check(tiny: Tiny, segment: int, prompt: Sequence[int], written: Written | RowError, plain: Any) -> None:
    """That a segment is what ``generate`` wrote, with its log-probabilities and its no-speech probability."""
    assert isinstance(written, Written)
    ids = plain.sequences[0]
    assert ids[: len(prompt)].tolist() == list(prompt)
    new = ids[len(prompt) :]
    end = tiny.model.generation_config.eos_token_id
    stopped = int(new[-1]) == end
    assert written.ids.tolist() == new[: len(new) - stopped].tolist()
    assert written.finish_reason == ("stop" if stopped else "length")
    scores = [one[0] for one in plain.scores]
    average = tiny.model._retrieve_avg_logprobs(scores, new, 0.0)
    assert written.avg_logprob == pytest.approx(float(average), abs=1e-5)
    logprobs = torch.stack(scores).log_softmax(dim=-1).gather(1, new[:, None])[: len(written.ids), 0]
    np.testing.assert_allclose(written.logprobs, logprobs.numpy(), atol=1e-4)
    with torch.inference_mode():
        logits = tiny.model(torch.from_numpy(tiny.features[segment : segment + 1]), decoder_input_ids=ids[None]).logits
    [start, nobody] = tiny.ids("startoftranscript", "nospeech")
    said = logits[0, list(prompt).index(start)].softmax(dim=-1)[nobody]
    assert written.no_speech_prob == pytest.approx(float(said), rel=1e-3)


@pytest.mark.parametrize("timestamps", [False, True])
def test_segments_are_written_as_generate_writes_each_alone(tiny: Tiny, timestamps: bool) -> None:
    tail = [] if timestamps else ["notimestamps"]
    prompt = tiny.ids("startoftranscript", "de", "transcribe", *tail)
    written = tiny.decoder.write(tiny.states, [prompt] * _SEGMENTS, Rules.of(tiny.model, timestamps=timestamps))
    for segment, one in enumerate(written):
        plain = _plain(tiny, segment, timestamps, language="de", task="transcribe")
        _check(tiny, segment, prompt, one, plain)
    reasons = {one.finish_reason for one in written if isinstance(one, Written)}
    assert "stop" in reasons
    assert len({len(one.ids) for one in written if isinstance(one, Written)}) > 1


@pytest.mark.parametrize("timestamps", [False, True])
def test_prompts_of_different_lengths_share_a_batch(tiny: Tiny, timestamps: bool) -> None:
    said = ["", "the", "some words about water", "who", "come and look at how long this has been", "in"]
    before = [tiny.words.get_prompt_ids(text).tolist() if text else [] for text in said]
    tail = tiny.ids("startoftranscript", "en", "translate", *([] if timestamps else ["notimestamps"]))
    prompts = [[*one, *tail] for one in before]
    rules = Rules.of(tiny.model, timestamps=timestamps, max_new_tokens=40)
    written = tiny.decoder.write(tiny.states, prompts, rules)
    for segment, one in enumerate(written):
        told = {"prompt_ids": torch.tensor(before[segment])} if before[segment] else {}
        plain = _plain(tiny, segment, timestamps, language="en", task="translate", max_new_tokens=40, **told)
        _check(tiny, segment, prompts[segment], one, plain)


def test_a_model_of_english_alone_has_a_prompt_of_one_token() -> None:
    tiny = _tiny(multilingual=False, seed=3)
    prompt = tiny.ids("startoftranscript")
    written = tiny.decoder.write(tiny.states, [prompt] * _SEGMENTS, Rules.of(tiny.model, timestamps=True))
    for segment, one in enumerate(written):
        _check(tiny, segment, prompt, one, _plain(tiny, segment, True))
    assert tiny.decoder.languages(tiny.states, {}) == ["en"] * _SEGMENTS


def test_states_take_the_memory_that_is_told(tiny: Tiny) -> None:
    held = [*tiny.states.keys, *tiny.states.values]
    assert sum(one.nbytes for one in held) == _SEGMENTS * tiny.decoder.segment_bytes


def test_languages_are_those_that_transformers_detects(tiny: Tiny) -> None:
    detected = tiny.model.detect_language(torch.from_numpy(tiny.features))
    expected = [name.strip("<|>") for name in tiny.words.convert_ids_to_tokens(detected.tolist())]
    known = {name.strip("<|>"): token for name, token in tiny.model.generation_config.lang_to_id.items()}
    assert tiny.decoder.languages(tiny.states, known) == expected


def test_some_of_the_segments_are_written_as_before(tiny: Tiny) -> None:
    prompt = tiny.ids("startoftranscript", "en", "transcribe")
    rules = Rules.of(tiny.model, timestamps=True, max_new_tokens=30)
    written = tiny.decoder.write(tiny.states, [prompt] * _SEGMENTS, rules)
    at = np.array([4, 1])
    again = tiny.decoder.write(tiny.decoder.take(tiny.states, at), [prompt] * 2, rules)
    for place, one in zip(at, again, strict=True):
        assert isinstance(one, Written)
        assert one.ids.tolist() == written[place].ids.tolist()  # type: ignore[union-attr]
    assert tiny.decoder.write(tiny.decoder.take(tiny.states, at[:0]), [], rules) == []


@pytest.mark.parametrize("top", [0, 50])
def test_what_is_drawn_depends_on_the_key_and_not_on_the_batch(tiny: Tiny, top: int) -> None:
    tiny.model.generation_config.top_k = top
    rules = Rules.of(tiny.model, timestamps=True, max_new_tokens=25)
    tiny.model.generation_config.top_k = None
    prompt = tiny.ids("startoftranscript", "en", "transcribe")
    keys = [11, 22, 33, 44, 55, 66]
    drawn = tiny.decoder.write(tiny.states, [prompt] * _SEGMENTS, rules, temperature=0.8, keys=keys)
    again = tiny.decoder.write(tiny.states, [prompt] * _SEGMENTS, rules, temperature=0.8, keys=keys[::-1])
    for segment, one in enumerate(drawn):
        states = tiny.decoder.take(tiny.states, np.array([segment]))
        [alone] = tiny.decoder.write(states, [prompt], rules, temperature=0.8, keys=[keys[segment]])
        assert isinstance(one, Written)
        assert isinstance(alone, Written)
        assert one.ids.tolist() == alone.ids.tolist()
        assert one.avg_logprob == pytest.approx(alone.avg_logprob, abs=1e-5)
    assert [one.ids.tolist() for one in drawn] != [one.ids.tolist() for one in again]  # type: ignore[union-attr]
    with pytest.raises(ParameterError, match="a key for every segment"):
        tiny.decoder.write(tiny.states, [prompt] * _SEGMENTS, rules, temperature=0.8)


def test_drawn_tokens_have_transformers_log_probabilities(tiny: Tiny) -> None:
    """Scores are compared with generate's: processed, divided by the temperature, all but the top 50 left out."""
    prompt = tiny.ids("startoftranscript", "en", "transcribe", "notimestamps")
    rules = Rules.of(tiny.model, timestamps=False, max_new_tokens=1)
    [one] = tiny.decoder.write(
        tiny.decoder.take(tiny.states, np.array([0])), [prompt], rules, temperature=0.6, keys=[5]
    )
    plain = _plain(tiny, 0, False, language="en", task="transcribe", max_new_tokens=1, temperature=0.6)
    assert isinstance(one, Written)
    expected = tiny.model._retrieve_avg_logprobs([plain.scores[0][0]], torch.from_numpy(one.ids), 0.6)
    assert one.avg_logprob == pytest.approx(float(expected), abs=1e-5)


def test_a_segment_that_gives_no_numbers_fails_alone(tiny: Tiny) -> None:
    broken = tiny.features.copy()
    broken[2, 5, 7] = np.nan
    prompt = tiny.ids("startoftranscript", "en", "transcribe")
    rules = Rules.of(tiny.model, timestamps=True, max_new_tokens=20)
    written = tiny.decoder.write(tiny.decoder.encode(broken), [prompt] * _SEGMENTS, rules)
    whole = tiny.decoder.write(tiny.states, [prompt] * _SEGMENTS, rules)
    for segment, (one, expected) in enumerate(zip(written, whole, strict=True)):
        if segment == 2:
            assert isinstance(one, RowError)
            assert one.code == "non_finite"
        else:
            assert isinstance(one, Written)
            assert one.ids.tolist() == expected.ids.tolist()  # type: ignore[union-attr]


@pytest.mark.parametrize("most", [None, 12])
def test_times_are_transformers_token_timestamps(tiny: Tiny, most: int | None) -> None:
    prompt = tiny.ids("startoftranscript", "en", "transcribe")
    rules = Rules.of(tiny.model, timestamps=True, max_new_tokens=most)
    written = tiny.decoder.write(tiny.states, [prompt] * _SEGMENTS, rules)
    frames = [600, 500, 450, 333, 600, 80]
    times = tiny.decoder.align(tiny.states, [prompt] * _SEGMENTS, written, frames)  # type: ignore[arg-type]
    for segment, (one, found) in enumerate(zip(written, times, strict=True)):
        assert isinstance(one, Written)
        mask = (torch.arange(2 * _POSITIONS) < frames[segment]).long()[None]
        plain = _plain(
            tiny,
            segment,
            True,
            language="en",
            task="transcribe",
            return_token_timestamps=True,
            attention_mask=mask,
            **({} if most is None else {"max_new_tokens": most}),
        )
        expected = plain["token_timestamps"][0][len(prompt) :][: len(one.ids)]
        assert found[0] == 0
        assert found.shape == (len(one.ids) + 1,)
        np.testing.assert_allclose(found[1:], expected.numpy(), atol=0.0201)
        assert (np.abs(found[1:] - expected.numpy()) < 1e-5).mean() > 0.9


def test_half_precision_says_about_the_same(tiny: Tiny) -> None:
    half = Decoder(copy.deepcopy(tiny.model).bfloat16(), tiny.words)
    states = half.encode(tiny.features)
    prompt = tiny.ids("startoftranscript", "en", "transcribe")
    rules = Rules.of(tiny.model, timestamps=True, max_new_tokens=8)
    exact = tiny.decoder.write(tiny.states, [prompt] * _SEGMENTS, rules)
    written = half.write(states, [prompt] * _SEGMENTS, rules)
    for one, other in zip(written, exact, strict=True):
        assert isinstance(one, Written)
        assert isinstance(other, Written)
        assert one.no_speech_prob == pytest.approx(other.no_speech_prob, rel=0.2)
        if one.ids[0] == other.ids[0]:
            assert one.logprobs[0] == pytest.approx(other.logprobs[0], abs=0.3)
    times = half.align(states, [prompt] * _SEGMENTS, written, [600] * _SEGMENTS)  # type: ignore[arg-type]
    assert all((np.diff(one) >= 0).all() for one in times)


def test_a_model_without_alignment_heads_times_no_words(tiny: Tiny) -> None:
    plain = copy.deepcopy(tiny.model)
    plain.generation_config.alignment_heads = None
    with pytest.raises(ModelError, match="alignment_heads"):
        Decoder(plain, tiny.words).align(tiny.states, [], [], [])


def test_prompts_need_room_and_the_start_token(tiny: Tiny) -> None:
    rules = Rules.of(tiny.model, timestamps=True)
    one = tiny.decoder.take(tiny.states, np.array([0]))
    with pytest.raises(ParameterError, match="448 positions, got one of 448 tokens"):
        tiny.decoder.write(one, [[1] * 448], rules)
    with pytest.raises(ParameterError, match="start token"):
        tiny.decoder.write(one, [[1, 2]], rules)


def test_other_families_are_refused(tiny: Tiny) -> None:
    other = transformers.AutoModelForSpeechSeq2Seq.from_config(
        transformers.Speech2TextConfig(
            d_model=8,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=1,
            decoder_attention_heads=1,
            encoder_ffn_dim=8,
            decoder_ffn_dim=8,
            vocab_size=20,
            conv_channels=8,
        )
    )
    with pytest.raises(UnsupportedTaskError, match="got Speech2TextForConditionalGeneration"):
        Decoder(other, tiny.words)
