from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.errors import RowError
from engine.speech.features import LogMel, scaled
from engine.speech.sound import Held, Spooled


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise that comes and goes, quiet and loud by turns."""
    drawn = np.random.default_rng(seed).normal(size=round(seconds * 16_000))
    swell = np.abs(np.sin(np.arange(drawn.size) / 9_000)) ** 4
    return np.asarray(0.2 * drawn * swell, np.float32)


@pytest.fixture(scope="module")
def extractor() -> object:
    from transformers import WhisperFeatureExtractor

    return WhisperFeatureExtractor()


@pytest.mark.parametrize("seconds", [0.01, 3.337, 30.0])
def test_a_short_clip_has_the_features_of_transformers(extractor: object, seconds: float) -> None:
    samples = noise(seconds)
    expected = extractor(samples, sampling_rate=16_000, return_attention_mask=True)  # type: ignore[operator]

    held = Held(samples, LogMel(extractor))

    np.testing.assert_allclose(held.cut(0), expected["input_features"][0], atol=1e-5, rtol=0)
    assert held.frames == expected["attention_mask"].sum()
    assert held.cut(2_900).shape == (80, 3000)
    assert (held.cut(2_900)[:, 100:] == 0).all()


@pytest.mark.parametrize("samples", [31 * 16_000, 31 * 16_000 + 77, 45 * 16_000 + 159])
@pytest.mark.parametrize("block", [480_000, 16_000, 401])
def test_a_spooled_recording_has_the_features_of_transformers(extractor: object, samples: int, block: int) -> None:
    if block == 401 and samples % 160:
        pytest.skip("small blocks once")
    whole = noise(50)[:samples]
    call = {"sampling_rate": 16_000, "truncation": False, "padding": "longest", "return_attention_mask": True}
    made = extractor(whole, **call)  # type: ignore[operator]
    expected = made["input_features"][0]

    spooled = Spooled((whole[at : at + block] for at in range(0, whole.size, block)), LogMel(extractor))

    assert spooled.frames == expected.shape[1] == made["attention_mask"].sum()
    np.testing.assert_allclose(spooled.cut(0), expected[:, :3000], atol=1e-5, rtol=0)
    np.testing.assert_allclose(spooled.cut(50), expected[:, 50:3050], atol=1e-5, rtol=0)
    last = spooled.cut(2_500)
    np.testing.assert_allclose(last[:, : spooled.frames - 2_500], expected[:, 2_500:5_500], atol=1e-5, rtol=0)
    assert (last[:, spooled.frames - 2_500 :] == 0).all()
    spooled.close()


def test_a_spool_is_gone_when_its_samples_fail(extractor: object) -> None:
    def failing():  # type: ignore[no-untyped-def]
        yield noise(1)
        raise OSError("half way")

    with pytest.raises(OSError, match="half way"):
        Spooled(failing(), LogMel(extractor))


def test_levels_tell_silence_from_sound(extractor: object) -> None:
    samples = np.zeros(20 * 16_000, np.float32)
    samples[:1_600] = 0.1 * np.sin(np.arange(1_600) / 3)

    held = Held(samples, LogMel(extractor))

    assert held.frames == 2_000
    assert held.loudness(0).max() > -2
    assert held.loudness(100) == pytest.approx(-10)


def test_what_is_far_below_the_loudest_is_cut_off() -> None:
    power = np.array([[-10.0, 1.0], [-6.5, 0.0]], np.float32)

    np.testing.assert_allclose(scaled(power, 1.0), [[-0.75, 1.25], [-0.625, 1.0]])


def test_what_was_heard_keeps_no_features(extractor: object) -> None:
    """Clips wait for the rest of their recording: an hour of them would hold 115 MB."""
    held = Held(noise(30), LogMel(extractor))
    held.close()

    kept = [value for value in vars(held).values() if isinstance(value, np.ndarray)]
    assert sum(value.nbytes if value.base is None else value.base.nbytes for value in kept) == 0


def spool(extractor: object) -> Spooled:
    return Spooled((noise(31),), LogMel(extractor))


def test_a_spool_lies_in_the_temporary_folder_and_has_no_name(
    extractor: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    spooled = spool(extractor)

    assert Path(f"/proc/self/fd/{spooled._file.fileno()}").readlink().is_relative_to(tmp_path)
    assert list(tmp_path.iterdir()) == []
    spooled.close()


def test_a_full_temporary_folder_is_told_as_such(extractor: object, monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("r+b", buffering=0) as full:
        monkeypatch.setattr("engine.speech.sound.TemporaryFile", lambda prefix: full)
        with pytest.raises(RowError, match=r"temporary folder \(No space left on device\)") as raised:
            spool(extractor)
        assert full.closed
    assert (raised.value.code, raised.value.retryable) == ("out_of_memory", True)


def test_no_temporary_folder_is_told_as_such(extractor: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/proc")
    monkeypatch.setattr("tempfile.tempdir", "/proc")

    with pytest.raises(RowError, match="temporary folder"):
        spool(extractor)
