"""What a stream's progress says, as the releases of pyspark show it."""

from __future__ import annotations

import pytest

from jobs.stream import _version

OFFSET = '{"sourceVersion": 1, "reservoirId": "a", "reservoirVersion": 3, "index": %d, "isStartingVersion": false}'
#: As pyspark 4.0 and 4.1 make a text of what they read.
MAPPING = "{'sourceVersion': 1, 'reservoirId': 'a', 'reservoirVersion': 3, 'index': -1, 'isStartingVersion': False}"


@pytest.mark.parametrize(
    ("offset", "version"),
    [
        (OFFSET % -1, 2),
        (OFFSET % 0, 3),
        (MAPPING, 2),
        ('{"logOffset": 0}', None),
        ("{'logOffset': 0}", None),
        ("null", None),
        ("None", None),
    ],
)
def test_the_version_that_was_read_up_to(offset: str, version: int | None) -> None:
    assert _version({"sources": [{"endOffset": offset}]}) == version


def test_nothing_was_read() -> None:
    assert _version(None) is None
