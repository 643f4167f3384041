"""Columns of every type to recordings."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.audio.cells import recordings
from engine.audio.limits import Limits
from engine.audio.recording import Recording
from engine.errors import ParameterError, RowError, SchemaError
from engine.tasks.audio import AudioParams
from tests.recordings import RATE, noise, wav

LIMITS = Limits(60, 1 << 30, 1 << 30)
FILES = [wav(noise(0.1, seed=seed)) for seed in range(3)]


def outcomes(column: pa.Array, rates: pa.Array | None = None, **params: Any) -> list[Any]:
    """Of each row its samples, or the code of its error."""
    return [_outcome(one) for one in recordings(column, rates, AudioParams(**params))]


def _outcome(one: Recording | RowError) -> Any:
    try:
        if isinstance(one, RowError):
            raise one
        with one.open(RATE, None, LIMITS) as stream:
            return stream.read(10 * RATE).tolist()
    except RowError as error:
        return error.code


EXPECTED = outcomes(pa.array(FILES, pa.binary()))


def texts() -> list[str]:
    return [base64.b64encode(data).decode() for data in FILES]


def test_bytes_are_files() -> None:
    assert len(EXPECTED[0]) == RATE // 10
    assert len({str(one) for one in EXPECTED}) == 3


@pytest.mark.parametrize(
    "of", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.dictionary(pa.int32(), pa.binary())]
)
def test_bytes_of_every_width(of: pa.DataType) -> None:
    column = pa.array([b"before", *FILES, b"after"], pa.binary())
    column = column.dictionary_encode() if pa.types.is_dictionary(of) else column.cast(of)
    assert outcomes(column[1:4]) == EXPECTED


@pytest.mark.parametrize("of", [pa.string(), pa.large_string(), pa.string_view()])
def test_strings_of_every_width(tmp_path: Path, of: pa.DataType) -> None:
    assert outcomes(pa.array(texts(), pa.string()).cast(of), strings="base64") == EXPECTED
    paths = [str(tmp_path / str(i)) for i in range(3)]
    for path, data in zip(paths, FILES, strict=True):
        Path(path).write_bytes(data)
    assert outcomes(pa.array(paths, pa.string()).cast(of), roots=(str(tmp_path),)) == EXPECTED


def test_base64_as_people_write_it() -> None:
    whole = texts()[0]
    lines = "\r\n".join(whole[at : at + 76] for at in range(0, len(whole), 76))
    uris = [f"data:audio/wav;base64,{whole}", f"DATA:;Base64,{whole}", f"data:audio/x-wav;rate=16000;base64,{lines}"]
    assert outcomes(pa.array([whole, lines, *uris]), strings="base64") == [EXPECTED[0]] * 5


def test_other_text_is_no_base64() -> None:
    bad = ["not base64!", texts()[0][:-3], "data:audio/wav,plain", "data:;base64", "", "ünïcode", "data:,x;base64,AAAA"]
    assert outcomes(pa.array(bad), strings="base64") == ["invalid_audio"] * 7


@pytest.mark.parametrize("strings", ["path", "base64"])
def test_strings_that_are_not_utf_8_cost_only_themselves(strings: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(FILES[0])
    sound = str(tmp_path / "a") if strings == "path" else texts()[0]
    column = pa.array([sound.encode(), b"caf\xe9", sound.encode()], pa.binary()).view(pa.string())
    found = outcomes(column, strings=strings, roots=(str(tmp_path),))
    assert found == [EXPECTED[0], "invalid_text", EXPECTED[0]]


def test_a_cell_is_held_to_its_size() -> None:
    most = len(FILES[0])
    assert outcomes(pa.array([FILES[0], FILES[0] + b"x"], pa.binary()), max_bytes=most) == [EXPECTED[0], "too_large"]
    assert outcomes(pa.array([texts()[0], texts()[0] + "AAAA"]), strings="base64", max_bytes=most + 2)[1] == "too_large"


def samples(of: Any, rows: Sequence[Any]) -> pa.Array:
    return pa.array(rows, of)


@pytest.mark.parametrize("of", [pa.list_(pa.float32()), pa.list_(pa.float64()), pa.large_list(pa.float32())])
def test_lists_are_samples(of: pa.DataType) -> None:
    column = samples(of, [[9.0], *EXPECTED, [9.0]])[1:4]
    for rates in (pa.array([RATE] * 3, pa.int32()), pa.array([RATE] * 3, pa.float64())):
        assert outcomes(column, rates) == EXPECTED


def test_lists_need_a_rate() -> None:
    column = samples(pa.list_(pa.float32()), [[0.0, 0.5]] * 5)
    assert outcomes(column) == ["invalid_audio"] * 5
    rates = pa.array([None, 0, -1, np.nan, 16_000], pa.float64(), from_pandas=False)
    assert outcomes(column, rates) == ["invalid_audio"] * 4 + [[0.0, 0.5]]


@pytest.mark.parametrize("of", [pa.float32(), pa.float64()])
def test_samples_that_are_no_numbers_cost_only_their_row(of: pa.DataType) -> None:
    rows = [[0.0, None], [np.nan], [np.inf, 0.0], [], [0.5]]
    found = outcomes(samples(pa.list_(of), rows), pa.array([RATE] * 5, pa.int32()))
    assert found == ["invalid_audio"] * 3 + [[], [0.5]]


def test_a_double_beyond_float32_is_an_error() -> None:
    assert outcomes(samples(pa.list_(pa.float64()), [[1e300]]), pa.array([RATE])) == ["invalid_audio"]


def test_samples_are_not_copied_before_they_are_heard() -> None:
    column = samples(pa.list_(pa.float32()), [[0.0] * 1000, [0.25] * 1000])
    second = recordings(column, pa.array([RATE] * 2), AudioParams())[1]
    assert second.values.buffers()[1].address == column.values.buffers()[1].address  # type: ignore[union-attr]


def test_other_columns_are_refused() -> None:
    with pytest.raises(SchemaError, match="expected a column of bytes, strings or lists of floats, got int64"):
        recordings(pa.array([1]), None, AudioParams())


@pytest.mark.parametrize("root", ["", "http://host/x", "s3://", "file://host/x", "ftp://host/x"])
def test_roots_that_can_not_be_read(root: str) -> None:
    with pytest.raises(ParameterError, match="expected roots to be folders or URIs"):
        AudioParams(roots=(root,))
