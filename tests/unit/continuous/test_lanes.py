"""What lies in a lane's places as rows come, move and go."""

from __future__ import annotations

import numpy as np
import torch

from engine.continuous.lanes import Lane
from engine.continuous.layout import Layer, Layout
from engine.continuous.row import Row
from engine.continuous.sequence import Sequence
from engine.generation.backend import Decoding, Prompt


def sequence(length: int) -> Sequence:
    row = Sequence(Row(Prompt(0, np.arange(50), Decoding(max_tokens=9))), None)
    row.length = length
    return row


def filled(lane: Lane, row: Sequence, value: float) -> None:
    lane.take(row)
    for keys, values in lane.views(row):
        keys[:, : row.length] = values[:, : row.length] = value


def held(lane: Lane) -> list[list[float]]:
    """The numbers in each place."""
    return [lane.layers[0][0][place, 0, :, 0].unique().tolist() for place in range(lane.width)]


def test_a_row_whose_numbers_are_none_leaves_none_behind_while_its_prompt_is_read() -> None:
    lane = Lane(Layout((Layer(1, 4, 4),), torch.float32, "cpu"), None, 64, 3)
    writes, reads = sequence(20), sequence(30)
    filled(lane, writes, 1.0)
    lane.write(writes)
    filled(lane, reads, float("nan"))
    assert held(lane)[2] == [0.0]

    lane.leave(writes)  # the row that is read moves to its place
    assert (lane.rows, reads.place, lane.writing) == ([reads], 0, 0)
    assert np.isnan(lane.layers[0][0][0, 0, :30, 0].numpy()).all()
    assert held(lane)[1:] == [[0.0], [0.0]]

    lane.leave(reads)
    assert not torch.isnan(lane.layers[0][1]).any()
    assert lane.rows == []


def test_rows_that_write_stand_first_whoever_comes_and_goes() -> None:
    lane = Lane(Layout((Layer(1, 4, 4),), torch.float32, "cpu"), None, 64, 4)
    rows = [sequence(length) for length in (5, 9, 7, 3)]
    for at, row in enumerate(rows):
        filled(lane, row, 1.0 + at)
    lane.write(rows[2])
    lane.write(rows[0])
    assert [row.length for row in lane.rows[: lane.writing]] == [7, 5]
    lane.leave(rows[2])
    lane.read(rows[0])
    assert lane.writing == 0
    for at, row in enumerate(rows):
        if at != 2:
            assert {float(keys[0, : row.length].unique()) for keys, _ in lane.views(row)} == {1.0 + at}
