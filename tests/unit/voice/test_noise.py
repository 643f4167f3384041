"""Noise of a row: normal, its own, and with the same beginning however much of it there is."""

from __future__ import annotations

import numpy as np

from engine.voice.noise import normals


def test_noise_is_normal() -> None:
    """Of 200,000 draws mean and variance stay within four standard errors of 0 and 1."""
    drawn = normals([1, 2], np.array([50_000, 50_000]), 2, stream=1)
    assert abs(drawn.mean()) < 4 / np.sqrt(drawn.size)
    assert abs(drawn.var() - 1) < 4 * np.sqrt(2 / drawn.size)


def test_noise_depends_on_key_and_stream_alone() -> None:
    together = normals([7, 8, 7], np.array([5, 9, 3]), 4, stream=1)
    assert together.shape == (3, 9, 4)
    assert not together[0, 5:].any()
    assert not together[2, 3:].any()
    np.testing.assert_array_equal(together[0, :5], normals([7], np.array([5]), 4, stream=1)[0])
    np.testing.assert_array_equal(together[0, :3], together[2, :3])
    assert not np.isclose(together[0, :5], together[1, :5]).any()
    assert not np.isclose(together[1], normals([8], np.array([9]), 4, stream=2)[0]).any()


def test_no_rows_have_no_noise() -> None:
    assert normals([], np.array([], np.int64), 4, stream=1).shape == (0, 0, 4)
