"""What every task on recordings promises beside the contract of all tasks. Its tests subclass ``AudioConformance``."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from tests import recordings
from tests.conformance.base import TaskConformance, assert_same, score, structs
from tests.recordings import CLIPS, Case


class AudioConformance(TaskConformance):
    """The contract of a task whose rows are recordings.

    ``columns["audio"]`` are files' bytes. A subclass may give its own; their tiny model should hear any length.
    """

    columns: ClassVar[Mapping[str, Sequence[Any]]] = {"audio": CLIPS}

    def heard(
        self,
        folder: Path,
        cells: pa.Array,
        *,
        rates: pa.Array | None = None,
        params: Mapping[str, Any] | None = None,
        **compute: Any,
    ) -> list[Any]:
        """The structs of a column of recordings of any type; other roles get one of their values."""
        others = {
            role: next(value for value in values if value is not None)
            for role, values in self.columns.items()
            if role not in ("audio", "sampling_rate")
        }
        rows = {"audio": cells} | ({} if rates is None else {"sampling_rate": rates})
        rows |= {role: pa.array([value] * len(cells)) for role, value in others.items()}
        made = self.scorer(folder, params=params, inputs=tuple(rows), **compute)
        return structs(score(made, pa.table(rows)))

    def test_equal_rows_are_scored_once(self, folder: Path) -> None:
        once = score(self.scorer(folder), self.table)
        twice = score(self.scorer(folder), pa.concat_tables([self.table, self.table]))
        assert sum(one.stats.audio_s for one in twice) == pytest.approx(sum(one.stats.audio_s for one in once))
        assert sum(one.stats.audio_s for one in once) > 0

    def test_rows_may_all_be_bad(self, folder: Path) -> None:
        found = self.heard(folder, pa.array([b"no recording", b"", b"neither"], pa.binary()))
        assert [row["error"]["code"] for row in found] == ["invalid_audio"] * 3
        assert [name for name, field in found[0].items() if field is not None] == ["error"]

    @pytest.mark.parametrize("window_rows", [1, 4, 1000])
    def test_odd_files_cost_only_themselves(self, folder: Path, expected: list[Any], window_rows: int) -> None:
        """Each broken file stands between two that are sound: rows and order are kept, and the sound ones' answers."""
        cases = recordings.odd_bytes()
        sound, cells = self._between([case.cell for case in cases.values()])
        found = self.heard(folder, pa.array(cells, pa.binary()), window_rows=window_rows)
        assert_codes(found[1::2], cases)
        assert_same(found[::2], [expected[i] for i in sound])

    def test_odd_paths_cost_only_themselves(self, folder: Path, expected: list[Any], tmp_path: Path) -> None:
        cases = recordings.odd_paths(tmp_path / "root")
        sound, cells = self._between([case.cell for case in cases.values()])
        for at in range(0, len(cells), 2):
            file = tmp_path / "root" / f"sound {at}"
            file.write_bytes(cells[at])
            cells[at] = str(file)
        found = self.heard(folder, pa.array(cells, pa.string()), params={"roots": [f"{tmp_path}/root"]})
        assert_codes(found[1::2], cases)
        assert_same(found[::2], [expected[i] for i in sound])

    def test_no_path_is_read_where_no_root_is_named(self, folder: Path, tmp_path: Path) -> None:
        file = tmp_path / "sound.wav"
        file.write_bytes(recordings.wav(recordings.tone(0.2)))
        [row] = self.heard(folder, pa.array([str(file)]))
        assert row["error"]["code"] == "outside_roots"

    def test_a_recording_is_the_same_in_every_form(self, folder: Path, expected: list[Any], tmp_path: Path) -> None:
        whole = [i for i, cell in enumerate(self.columns["audio"]) if cell is not None]
        cells = [self.columns["audio"][i] for i in whole]
        want = [expected[i] for i in whole]
        names = []
        for i, cell in enumerate(cells):
            (tmp_path / f"{i}.wav").write_bytes(cell)
            names.append(f"file://{tmp_path}/{i}.wav")
        texts = [base64.b64encode(cell).decode() for cell in cells]
        assert_same(self.heard(folder, pa.array(names), params={"roots": [str(tmp_path)]}), want)
        assert_same(self.heard(folder, pa.array(texts), params={"strings": "base64"}), want)

    @pytest.mark.parametrize("of", [pa.float32(), pa.float64()])
    def test_samples_are_heard_as_their_file_is(self, folder: Path, of: pa.DataType) -> None:
        samples = [recordings.tone(0.3), recordings.noise(0.5), recordings.tone(0.4, 8000)]
        rates = [recordings.RATE, recordings.RATE, 8000]
        files = [recordings.wav(one, rate, subtype="FLOAT") for one, rate in zip(samples, rates, strict=True)]
        want = self.heard(folder, pa.array(files, pa.binary()))
        cells = pa.array([one.tolist() for one in samples], pa.list_(of))
        assert_same(self.heard(folder, cells, rates=pa.array(rates, pa.int32())), want)
        found = self.heard(folder, cells, rates=pa.array([recordings.RATE, None, 0], pa.int32()))
        assert_same(found[:1], want[:1])
        assert [row["error"]["code"] for row in found[1:]] == ["invalid_audio"] * 2

    def test_limits_are_errors_of_their_rows(self, folder: Path, expected: list[Any]) -> None:
        at = next(i for i, row in enumerate(expected) if row is not None)
        long, sound = recordings.wav(recordings.noise(3.0)), self.columns["audio"][at]
        for limit, code in (({"max_duration_s": 2.0}, "too_long"), ({"max_decoded_bytes": 128_000}, "too_large")):
            found = self.heard(folder, pa.array([sound, long, sound], pa.binary()), params=limit)
            assert found[1]["error"]["code"] == code
            assert_same([found[0], found[2]], [expected[at]] * 2)
        [row] = self.heard(folder, pa.array([long], pa.binary()), params={"max_bytes": 1000})
        assert row["error"]["code"] == "too_large"

    def _between(self, odd: list[Any]) -> tuple[list[int], list[Any]]:
        """Odd cells in the odd places, sound samples around them in the even ones; which samples these are."""
        whole = [i for i, cell in enumerate(self.columns["audio"]) if cell is not None]
        sound = [whole[i % len(whole)] for i in range(len(odd) + 1)]
        cells: list[Any] = [None] * (2 * len(odd) + 1)
        cells[::2] = [self.columns["audio"][i] for i in sound]
        cells[1::2] = odd
        return sound, cells


def assert_codes(found: list[Any], cases: Mapping[str, Case]) -> None:
    """Each row has the error that its case says, or none."""
    codes = [None if row is None else (row["error"] or {"code": ""})["code"] for row in found]
    assert dict(zip(cases, codes, strict=True)) == {name: case.code for name, case in cases.items()}
