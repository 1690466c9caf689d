"""The first thing that anybody runs."""

from __future__ import annotations

import json
import signal
import socket
from contextlib import ExitStack, suppress
from typing import Any

from tests import tools
from tests.cli.command import Running, run


def message_in(text: str) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(text[text.index("\n{") :].rpartition("}")[0] + "}")
    return message


def test_once_shows_a_mail_from_door_to_door_and_ends() -> None:
    demo = run("demo", "--once", "--port", "0")
    assert (demo.returncode, demo.stderr) == (0, "")
    assert "127.0.0.1" not in demo.stdout  # nothing to be called that is gone by then
    message = message_in(demo.stdout)
    assert message["inbox"] == "you@demo.test"
    assert message["subject"] == "Your first mail"
    assert message["raw"].startswith("From: Relay Demo")


def test_it_takes_no_settings_from_the_environment() -> None:
    demo = run("demo", "--once", "--port", "0", RELAY_REDIS_URL="redis://127.0.0.1:1", RELAY_NONSENSE="1")
    assert (demo.returncode, demo.stderr) == (0, "")


def test_a_taken_port_makes_it_choose_another_unless_it_was_asked_for() -> None:
    with ExitStack() as stack:
        with suppress(OSError):  # then somebody else has it: as well
            stack.enter_context(socket.create_server(("127.0.0.1", 8000)))
        other = run("demo", "--once")
        asked = run("demo", "--once", "--port", "8000")
    assert other.returncode == 0
    assert asked.returncode == 2
    assert asked.stderr == "relay: cannot listen on 127.0.0.1 port 8000: Address already in use\n"
    assert asked.stdout == ""


def test_the_printed_commands_work_when_pasted_and_ctrl_c_ends_it() -> None:
    tools.CURL.need()
    with Running("demo", "--port", "0") as demo:
        demo.out.until("Serving until Ctrl-C")
        url = demo.out.until(lambda line: line.startswith("ws://127.0.0.1:"))
        assert "/incoming-messages?_id=demo&key=rk_" in url
        assert url.endswith("&addresses=you@demo.test")
        key = url.partition("&key=")[2].partition("&")[0]
        page = f"http://{url.split('/')[2]}/"
        assert {page, key} <= set(demo.out.lines)  # each on a line of its own, to be copied
        curl = demo.out.until("| curl")
        listen = demo.out.until(lambda line: " listen http://" in line)
        with Running("-c", f"{listen} --json --count 1", program="sh") as listening:
            listening.err.until("connected to")
            with Running("-c", curl, program="sh") as sending:
                assert sending.ended() == 0
                answer = json.loads(sending.out.text)
            assert listening.ended() == 0
            received = json.loads(listening.out.text)
        assert answer["accepted"] == [{"inbox": "you@demo.test", "_id": received["_id"]}]
        assert received["subject"].startswith("Hello at ")
        assert demo.stop(signal.SIGINT) == 0
        assert demo.err.text == ""


def test_ctrl_c_at_once_is_a_clean_end_too() -> None:
    with Running("demo", "--port", "0") as demo:
        demo.out.until("ws://")
        assert demo.stop(signal.SIGINT) == 0
        assert demo.err.text == ""
