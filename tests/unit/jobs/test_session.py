"""Which sessions get functions, without a JVM."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import ParameterError
from jobs import functions, session
from jobs.errors import RunError


class Session:
    """Knows whether it was stopped."""

    stopped = False

    def stop(self) -> None:
        self.stopped = True


@pytest.mark.parametrize(
    ("context", "with_functions", "stopped"), [(None, True, True), (None, False, False), (object(), True, False)]
)
def test_only_a_session_that_was_started_here_gets_functions_and_is_stopped_without_them(
    monkeypatch: pytest.MonkeyPatch, context: Any, with_functions: bool, stopped: bool
) -> None:
    """One of another thread is not active in this one, and is not ours to stop."""
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    def fail(spark: Session) -> None:
        raise ParameterError("no such function")

    made = Session()
    monkeypatch.setattr(SparkSession, "getActiveSession", lambda: None)
    monkeypatch.setattr(SparkContext, "_active_spark_context", context)
    monkeypatch.setattr(session, "_start", lambda name: made)
    monkeypatch.setattr(session, "_check_delta", lambda spark: None)
    monkeypatch.setattr(functions, "register", fail)
    if stopped:
        with pytest.raises(ParameterError):
            session.session("test", with_functions=with_functions)
    else:
        assert session.session("test", with_functions=with_functions) is made
    assert made.stopped is stopped


def test_spark_connect_is_refused_before_anything_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_REMOTE", "sc://localhost")
    monkeypatch.setattr(session, "_start", lambda name: pytest.fail("started"))
    with pytest.raises(RunError, match=r"got Spark Connect: .* Run it by spark-submit, or unset SPARK_REMOTE"):
        session.session("test")
