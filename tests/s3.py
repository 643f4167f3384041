"""An S3 server for tests, of this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

KEY = "testing"
REGION = "us-east-1"


@contextmanager
def server() -> Iterator[str]:
    """The address of a server that speaks as S3 does; within the block AWS's own variables hold its keys."""
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, KEY)
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        started = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        started.start()
        host, port = started.get_host_and_port()
        try:
            yield f"http://{host}:{port}"
        finally:
            started.stop()


def client(endpoint: str) -> Any:
    """boto3's client of it."""
    import boto3

    return boto3.client("s3", endpoint_url=endpoint, region_name=REGION)
