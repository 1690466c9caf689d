"""A log that nobody reads, that is full or gone: mail and sockets go on, and what was dropped is counted."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import httpx2
import pytest

from tests.cli.command import RELAY, ROOT, environment
from tests.redis_server import free_port

SECRET = "secret-of-raw-0123456789"
MAIL = b"From: a@b.test\r\nTo: user1@mailsac.com\r\nSubject: x\r\n\r\ntext\r\n"
_MORE_THAN_A_PIPE = 1200  # posts; each logs some 200 bytes, and a pipe holds 64 KiB


@contextmanager
def _serving(stderr: int) -> Iterator[httpx2.Client]:
    port = free_port()
    settings = {"RELAY_RAW_SECRET": SECRET, "RELAY_DRAIN_SECONDS": "0"}
    process = subprocess.Popen(
        [*RELAY, "serve", "--port", str(port)], cwd=ROOT, env=environment(settings), stderr=stderr
    )
    transport = httpx2.HTTPTransport(retries=8, verify=False)  # until it listens
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", transport=transport, timeout=10) as http:
            while http.get("/readyz").status_code != 200:
                pass
            yield http
            assert process.poll() is None
    finally:
        process.terminate()
        process.wait(20)


def _post(http: httpx2.Client) -> int:
    headers = {
        "authorization": f"Bearer {SECRET}",
        "x-envelope-to": "user1@mailsac.com",
        "webhook-id": uuid4().hex,
    }
    return http.post("/inbound/raw", content=MAIL, headers=headers).status_code


def _dropped(http: httpx2.Client) -> float:
    [line] = [one for one in http.get("/metrics").text.splitlines() if one.startswith("relay_log_dropped_total")]
    return float(line.split()[1])


@pytest.mark.parametrize("kind", ["dead", "full"])
def test_a_dead_pipe_and_a_full_disk_cost_no_post_and_are_counted(kind: str) -> None:
    if kind == "full":
        stderr = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, stderr = os.pipe()
        os.close(reader)
    with _serving(stderr) as http:
        os.close(stderr)
        assert {_post(http) for _ in range(5)} == {200}
        while not _dropped(http):  # the writer is behind by a moment
            pass


def test_a_stalled_reader_holds_up_nobody_and_gets_every_line_later() -> None:
    reader, stderr = os.pipe()
    with _serving(stderr) as http:
        os.close(stderr)
        assert {_post(http) for _ in range(_MORE_THAN_A_PIPE)} == {200}
        seen = 0
        with os.fdopen(reader, "rb") as lines:
            while seen < _MORE_THAN_A_PIPE:
                seen += json.loads(lines.readline())["event"] == "inbound.taken"
