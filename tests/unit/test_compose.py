"""docker-compose.yml and Dockerfile, which no engine runs here: valid, and all that they name is there."""

from __future__ import annotations

import base64
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml

from jobs.definition import load

ROOT: Final = Path(__file__).resolve().parents[2]
COMPOSE: Final = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
CONTAINERS: Final = (ROOT / "conf" / "spark" / "containers.conf").read_text(encoding="utf-8")
PAGE: Final = (ROOT / "docs" / "containers.md").read_text(encoding="utf-8")
FILE: Final[dict[str, Any]] = yaml.safe_load(COMPOSE)
SERVICES: Final[dict[str, dict[str, Any]]] = FILE["services"]
#: What ends by itself.
COMMANDS: Final = {"driver", "airflow-migrate"}
#: Ports that images listen on without being told to.
OWN_PORTS: Final = {"postgres": {5432}, "storage": {8333}}


def test_it_is_valid_by_the_specifications_schema() -> None:
    from check_jsonschema.builtin_schemas import get_builtin_schema

    schema = get_builtin_schema("vendor.compose-spec")
    jsonschema.validators.validator_for(schema)(schema).validate(FILE)


def test_every_variable_is_in_the_example_and_secrets_have_no_default() -> None:
    used = dict(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)(:[?-][^}]*)?\}", COMPOSE))
    assert set(re.findall(r"(?<!\$)\$\{?([A-Z0-9_]+)", COMPOSE)) == set(used)
    example = _example()
    assert set(used) == set(example)
    for name, value in example.items():
        assert used[name] == (f":-{value}" if value and name != "S3_ACCESS_KEY" else ":?"), name


def _example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_no_secret_stands_in_it() -> None:
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD$|SECRET|KEY|SQL_ALCHEMY_CONN|STORE_URI", key):
                assert re.search(r"\$\{[A-Z0-9_]+:\?\}", value), (name, key)
        assert "://" not in str(service.get("command", "")).replace("s3://models", "").replace(
            "spark://master:7077", ""
        )
    assert not re.search(r"(?i)(password|secret)\s*=\s*[^\s$/]", DOCKERFILE)
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    assert ".env" in ignored


def test_secrets_are_made(tmp_path: Path) -> None:
    made = []
    for _ in range(2):
        done = subprocess.run(["sh", str(ROOT / "conf" / "secrets.sh")], capture_output=True, text=True, check=True)
        lines = [line for line in done.stdout.splitlines() if line and not line.startswith("#")]
        made.append(dict(line.split("=", 1) for line in lines))
    example = _example()
    assert made[0].keys() == example.keys()
    for name, value in example.items():
        if value:
            assert made[0][name] == made[1][name] == value
        else:
            assert made[0][name] != made[1][name]
            assert len(base64.urlsafe_b64decode(made[0][name])) == 32


def test_images_are_pinned() -> None:
    built = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    pulled = [service["image"] for service in SERVICES.values() if "build" not in service]
    for image in (*pulled, *(one for one in built if one not in _stages())):
        assert re.fullmatch(r"[\w./-]+:\d+\.\d+(\.\d+)?(-[a-z-]+)?", image), image
    assert {_tag(service) for service in SERVICES.values() if "build" in service} == {"0.1.0"}


def _stages() -> list[str]:
    return re.findall(r"^FROM \S+ AS (\S+)", DOCKERFILE, re.MULTILINE)


def _tag(service: dict[str, Any]) -> str:
    return str(service["image"].rpartition(":")[2])


def test_every_stage_that_is_built_is_there_and_runs_as_nobody_special() -> None:
    for service in SERVICES.values():
        if "build" not in service:
            continue
        stage = service["build"]["target"]
        lines = DOCKERFILE.split(f" AS {stage}\n")[1].split("\nFROM ")[0]
        assert re.findall(r"^USER (\S+)", lines, re.MULTILINE)[-1] == "embercast"
        assert service["cap_drop"] == ["ALL"]
        declared = re.findall(r"^ARG (\w+)", lines, re.MULTILINE)
        assert set(service["build"].get("args", {})) <= set(declared)


def test_what_builds_is_read_by_a_shell() -> None:
    steps = [re.sub(r"--mount=\S+", "", line) for line in re.findall(r"^RUN (.+)", DOCKERFILE, re.MULTILINE)]
    assert len(steps) == DOCKERFILE.count("\nRUN ")
    for step in steps:
        subprocess.run(["sh", "-n", "-c", step], check=True)


def test_every_file_is_there_and_sent_to_the_builder() -> None:
    copied = [part for line in re.findall(r"^COPY ([^-\n].*)", DOCKERFILE, re.MULTILINE) for part in line.split()[:-1]]
    bound = re.findall(r"type=bind,source=([^,\s]+)", DOCKERFILE)
    read = re.findall(r"(?<=\s)conf/[\w./]+", DOCKERFILE)
    sent = re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    for name in (*copied, *bound, *read):
        assert (ROOT / name).exists(), name
        assert name.split("/")[0] in sent, name
    mounted = [one.split(":")[0] for service in SERVICES.values() for one in service.get("volumes", [])]
    for name in mounted:
        assert (ROOT / name).exists() if name.startswith("./") else name in FILE["volumes"], name
    assert set(FILE["volumes"]) <= set(mounted)
    inside = set(re.findall(r"/opt/embercast/(conf/[\w./-]+)", COMPOSE))
    assert "conf/spark/gpus.sh" in inside
    for name in inside:
        assert (ROOT / name).exists(), name
    for service in SERVICES.values():
        for one in service.get("configs", []):
            assert one["source"] in FILE["configs"]


def test_ports_are_listened_on_and_open_to_this_machine_alone() -> None:
    for name, service in SERVICES.items():
        for published in service.get("ports", []):
            host, _, port = published.split(":")
            assert host == "127.0.0.1"
            assert int(port) in _listens(name), (name, port)


def test_addresses_are_those_of_services() -> None:
    texts = [CONTAINERS, *(str({**one, "healthcheck": None}) for one in SERVICES.values())]
    addresses = re.findall(r"(?:http|spark)://([a-z-]+):(\d+)", "\n".join(texts))
    assert {name for name, _ in addresses} == {"storage", "master", "mlflow", "airflow"}
    for name, port in addresses:
        assert int(port) in _listens(name), (name, port)
    for name in re.findall(r"@([a-z]+)/", COMPOSE):
        assert name in SERVICES


def _listens(name: str) -> set[int]:
    told = re.findall(r"-port (\d+)|--port (\d+)|//localhost:(\d+)", f"{SERVICES[name].get('command')}")
    return {int(number) for one in told for number in one if number} | OWN_PORTS.get(name, set())


def test_who_waits_for_whom() -> None:
    for name, service in SERVICES.items():
        assert ("healthcheck" in service) == (name not in COMMANDS), name
        for other, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if other in COMMANDS else "service_healthy"
            assert how == {"condition": wanted}, (name, other)


def test_gpus_are_asked_for_by_the_profile_alone() -> None:
    [device] = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert (SERVICES["worker-gpu"]["profiles"], device["capabilities"]) == (["gpu"], ["gpu"])
    others = [name for name, service in SERVICES.items() if "capabilities" in str(service)]
    assert others == ["worker-gpu"]


def test_the_image_has_the_python_of_its_paths_and_the_java_of_these_tests() -> None:
    [version] = re.findall(r"^FROM python:(\d+\.\d+)", DOCKERFILE, re.MULTILINE)
    assert f"/lib/python{version}/" in DOCKERFILE
    assert "openjdk-17-jre-headless" in DOCKERFILE


def test_definitions_of_its_dags_have_schedules() -> None:
    files = sorted((ROOT / "conf" / "airflow" / "dags" / "jobs").glob("*.yaml"))
    assert files
    for file in files:
        assert load(file).schedule is not None


@pytest.mark.parametrize("command", re.findall(r"docker compose (?:run --rm|exec) (.+)", PAGE))
def test_the_page_names_services(command: str) -> None:
    service = next(word for word in command.split() if not word.startswith("-"))
    assert service in SERVICES
