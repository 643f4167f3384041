"""Cuts, worked by hand and beside transformers' own."""

from __future__ import annotations

import numpy as np
import pytest

from engine.speech.seeking import Cut, before, cuts

TIMES = 100


@pytest.mark.parametrize(
    ("ids", "expected", "taken"),
    [
        ([100, 1, 2, 150], [Cut(0, 4, 0, 50)], 3000),
        ([100, 1, 150, 150, 2, 200], [Cut(0, 3, 0, 50), Cut(3, 6, 50, 100)], 3000),
        ([100, 1, 150, 160, 2], [Cut(0, 4, 0, 50)], 100),
        ([100, 1, 150, 160, 2, 170, 170], [Cut(0, 3, 0, 50), Cut(3, 7, 60, 70)], 140),
        ([100, 1, 2], [Cut(0, 3, 0, 1500)], 3000),
        ([1, 2], [Cut(0, 2, 0, 1500)], 3000),
        ([110, 1, 2], [Cut(0, 3, 0, 10)], 3000),
        ([], [Cut(0, 0, 0, 1500)], 3000),
    ],
)
def test_segments_end_at_pairs_of_times(ids: list[int], expected: list[Cut], taken: int) -> None:
    assert cuts(ids, TIMES, 3000, 2) == (expected, taken)


def test_cuts_are_those_of_transformers() -> None:
    import torch
    from transformers.models.whisper.generation_whisper import WhisperGenerationMixin

    drawn = np.random.default_rng(0)
    for _ in range(300):
        ids = np.where(drawn.random(12) < 0.4, np.sort(drawn.integers(101, 160, 12)), drawn.integers(0, 99, 12))
        segments, offset = WhisperGenerationMixin._retrieve_segment(
            seek_sequence=torch.tensor(ids),
            seek_outputs=[None],
            time_offset=torch.zeros(1, dtype=torch.float64),
            timestamp_begin=TIMES,
            seek_num_frames=torch.tensor([2000]),
            time_precision=0.02,
            time_precision_features=0.01,
            input_stride=2,
            prev_idx=0,
            idx=0,
            return_token_timestamps=False,
            decoder_input_ids=torch.zeros(1, 0),
        )

        found, taken = cuts(ids.tolist(), TIMES, 2000, 2)

        assert taken == int(offset)
        assert [ids[one.first : one.last].tolist() for one in found] == [one["tokens"].tolist() for one in segments]
        np.testing.assert_allclose([one.start * 0.02 for one in found[1:]], [float(s["start"]) for s in segments[1:]])
        np.testing.assert_allclose([one.end * 0.02 for one in found], [float(s["end"]) for s in segments])


def test_a_pair_at_time_zero_moves_on_all_the_same() -> None:
    assert cuts([100, 100, 1], TIMES, 3000, 2)[1] == 3000


def test_what_was_said_before_holds_one_of_each_pair_of_times() -> None:
    assert before([[100, 1, 2, 150, 150], [150, 3, 160]], TIMES, 99) == [100, 1, 2, 150, 150, 3, 160]
    assert before([[100, 1, 2, 150, 150], [150, 3, 160]], TIMES, 2) == [3, 160]
    assert before([], TIMES, 2) == []
