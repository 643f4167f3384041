from __future__ import annotations

import pytest

from demo import __main__ as demonstration
from demo.place import ROOT


def test_a_job_that_fails_gives_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert demonstration.run("no/such/job.yaml") == 2
    assert "$ embercast run no/such/job.yaml" in capsys.readouterr().out


def test_the_jobs_shown_are_there() -> None:
    jobs = ("SENTIMENT", "EMBEDDINGS", "TRANSCRIPTS", "ANSWERS", "TICKETS")
    assert all((ROOT / getattr(demonstration, job)).is_file() for job in jobs)
