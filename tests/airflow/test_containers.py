"""What docker-compose.yml and ``make schedule`` tell Airflow: settings that it knows, and DAGs that it can read."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import yaml

from demo import schedule
from tests.airflow.conftest import PYTHON, ROOT

DEFINITION = ROOT / "conf" / "airflow" / "dags" / "jobs" / "reviews_nightly.yaml"


def test_every_setting_is_one_of_airflows(tmp_path: Path) -> None:
    [known] = (PYTHON.parents[1] / "lib").glob("python3.*/site-packages/airflow/config_templates/config.yml")
    sections = yaml.safe_load(known.read_text(encoding="utf-8"))
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    made = "".join(f"{name}:" for name in schedule.environment(tmp_path, "spark://localhost:7077", port=8090))
    told = re.findall(r"AIRFLOW__([A-Z_]+?)__([A-Z_]+):", compose + made)
    assert told.count(("CORE", "EXECUTION_API_SERVER_URL")) == 2
    for section, option in told:
        assert option.lower() in sections[section.lower()]["options"], option


def test_dags_are_read(tmp_path: Path) -> None:
    schedule.write_dags(tmp_path / "dags")
    shutil.copy(DEFINITION, tmp_path / "dags" / "jobs")
    env = {**os.environ, **schedule.environment(tmp_path, "spark://localhost:7077", port=8090)}
    env["TOLD"] = str(tmp_path / "told.json")
    command = [str(PYTHON), str(Path(__file__).with_name("scenario.py"))]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "told.json").read_text(encoding="utf-8"))
    assert (told["errors"], told["heavy"]) == ({}, [])
    crons = {name: dag["cron"] for name, dag in told["dags"].items()}
    assert crons == {"reviews_nightly": "0 2 * * *", "reviews_sentiment": "*/2 * * * *"}
    outlets = [dag["tasks"]["score"]["outlets"] for dag in told["dags"].values()]
    assert sorted(outlets) == [[f"path:{ROOT}/.demo/tables/reviews_scored"], ["path:s3a://lake/reviews_scored"]]
