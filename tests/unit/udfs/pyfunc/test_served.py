"""``mlflow models serve``: requests as clients write them, over HTTP and through the server's own function."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.request import Request, urlopen

import mlflow
import pytest
from mlflow.pyfunc.scoring_server import invocations

import udfs.pyfunc
from tests import artifacts, chats, tiny

TEXTS: Final = ["a good day", "so many people said no"]
ROOT: Final = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> str:
    home = tmp_path_factory.mktemp("served")
    return str(artifacts.write(tiny.save(home / "model", num_labels=4), home / "logged", "text-classification"))


@pytest.fixture
def server(artifact: str, tmp_path: Path) -> Iterator[str]:
    """The address of a server of the model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", artifact, "--env-manager", "local"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(f"http://127.0.0.1:{port}/ping", process, tmp_path / "log")
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        try:
            urlopen(address).close()
        except URLError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.2)
        else:
            return
    pytest.fail(log.read_text())


def post(address: str, request: Any) -> Any:
    body = json.dumps(request).encode()
    with urlopen(Request(address, body, {"Content-Type": "application/json"})) as answer:
        return json.loads(answer.read())


def test_a_server_answers_json(server: str, artifact: str) -> None:
    alone = udfs.pyfunc.load(artifact).predict(TEXTS)
    rows = {"dataframe_split": {"columns": ["text"], "data": [[TEXTS[0]], [None], [TEXTS[1]]]}}
    first, null, second = post(server, rows)["predictions"]
    assert [one["score"] for one in (first, second)] == pytest.approx(alone["score"].tolist(), rel=1e-5)
    assert [one["label"] for one in (first, second)] == alone["label"].tolist()
    assert (null["label"], null["scores"], null["error"]["code"]) == (None, [], None)
    short = post(server, {"inputs": {"text": TEXTS}, "params": {"top_k": 1}})["predictions"]
    assert [len(one["scores"]) for one in short] == [1, 1]


def ask(model: Any, request: Any) -> Any:
    """What the server does with the body of a request."""
    done = invocations(json.dumps(request), "application/json", model, model.metadata.get_input_schema())
    assert done.status == 200
    return json.loads(done.response)


def test_a_request_of_one_conversation_has_one_answer(tmp_path: Path) -> None:
    """As OpenAI's clients write it: MLflow makes a row of each message of it."""
    artifact = artifacts.write(chats.save(tmp_path / "chat"), tmp_path / "logged", "llm/v1/chat")
    model = mlflow.pyfunc.load_model(str(artifact), suppress_warnings=True)
    turns = [{"role": "system", "content": "be as they are"}, {"role": "user", "content": "what can people do"}]
    (answer,) = ask(model, {"messages": turns, "max_tokens": 3, "stop": ["no"]})
    assert answer["usage"]["completion_tokens"] <= 3
    assert answer["choices"][0]["message"]["role"] == "assistant"
    two = ask(model, {"dataframe_records": [{"messages": turns, "max_tokens": 3}, {"messages": turns[1:]}]})
    assert two["predictions"][0]["choices"] == answer["choices"]
    assert len(two["predictions"]) == 2
