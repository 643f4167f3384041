"""What docker-compose.yml tells Airflow: settings that it knows, and DAGs that it can read."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import yaml

from tests.airflow.conftest import PYTHON, ROOT

FOLDER = ROOT / "conf" / "airflow" / "dags"


def test_every_setting_is_one_of_airflows() -> None:
    [known] = (PYTHON.parents[1] / "lib").glob("python3.*/site-packages/airflow/config_templates/config.yml")
    sections = yaml.safe_load(known.read_text(encoding="utf-8"))
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    told = re.findall(r"AIRFLOW__([A-Z_]+?)__([A-Z_]+):", compose)
    assert ("CORE", "EXECUTION_API_SERVER_URL") in told
    for section, option in told:
        assert option.lower() in sections[section.lower()]["options"], option


def test_its_dags_are_read(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    env |= {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__DAGS_FOLDER": str(FOLDER), "PYTHONPATH": str(ROOT)}
    env["AIRFLOW__CORE__LOAD_EXAMPLES"] = "false"
    command = [str(PYTHON), str(Path(__file__).with_name("scenario.py"))]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["errors"], told["heavy"]) == ({}, [])
    [nightly] = told["dags"].values()
    assert nightly["cron"] == "0 2 * * *"
    assert nightly["tasks"]["score"]["outlets"] == ["path:s3a://lake/reviews_scored"]
