from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder of these tests alone; models and bundles are made once for all tests of a task."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMBERCAST_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
