"""`relay wait`: one mail for a script, its code, its link, and why it did not come."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx2
import pytest

from relay.cli import exits
from tests.cli.command import Running
from tests.cli.conftest import Here
from tests.cli.service import ADDRESS, KEY, MAIL, OTHER_ADDRESS, SECRET, Service


def arguments(service: Service, *more: str, address: str = ADDRESS) -> tuple[str, ...]:
    return ("wait", address, "--url", service.url, *more)


def test_a_mail_that_comes_is_printed(service: Service) -> None:
    first = service.post("before")
    with Running(*arguments(service, "--since", first, "--subject", "Hi there"), MAILSAC_KEY=KEY) as waiting:
        service.post("another")
        message_id = service.post("hi there, Ann")
        assert waiting.ended() == exits.DONE
        assert waiting.out.text == f"{message_id}  ann@sender.test  hi there, Ann"


def test_what_came_before_the_mark_does_not_count(service: Service, here: Here) -> None:
    first = service.post("marked")
    marked = here(*arguments(service, "--mark"), MAILSAC_KEY=KEY)
    assert marked.stdout == f"{first}\n"
    given = arguments(service, "--since", first, "--subject", "marked")
    assert here(*given, "--timeout", "0", MAILSAC_KEY=KEY).returncode == exits.TIMED_OUT
    second = service.post("marked")
    assert here(*given, MAILSAC_KEY=KEY).stdout.startswith(second)


def test_an_empty_inbox_has_a_mark_too(service: Service, here: Here) -> None:
    empty = "nothing-yet@mailsac.com"
    assert here("address", "add", "user1", empty, **service.settings).returncode == exits.DONE
    marked = here(*arguments(service, "--mark", address=empty), MAILSAC_KEY=KEY).stdout.strip()
    waited = here(*arguments(service, "--since", marked, "--timeout", "0", address=empty), MAILSAC_KEY=KEY)
    assert (waited.returncode, "no mail at all came" in waited.stderr) == (exits.TIMED_OUT, True)


def test_json_has_the_text(service: Service, here: Here) -> None:
    message_id = service.post("as JSON")
    done = here(*arguments(service, "--subject", "as JSON", "--json"), MAILSAC_KEY=KEY)
    shown = json.loads(done.stdout)
    assert (shown["_id"], shown["text"].strip()) == (message_id, "The text of the mail.")


def test_code_and_link(service: Service, here: Here) -> None:
    service.post("Your code is 482913 (https://one.test/a)\r\n\r\nhttps://two.test/confirm/x https://three.test")
    given = arguments(service, "--since", "1m", "--subject", "Your code is")
    assert here(*given, "--code", MAILSAC_KEY=KEY).stdout == "482913\n"
    assert here(*given, "--link", MAILSAC_KEY=KEY).stdout.startswith("https://two.test/confirm/x\n")
    assert here(*given, "--link", "--link-regex", "three", MAILSAC_KEY=KEY).stdout == "https://three.test\n"
    without = here(*given, "--link", "--link-regex", "four", MAILSAC_KEY=KEY)
    assert (without.returncode, without.stdout) == (exits.REJECTED, "")


def test_nothing_in_time_is_exit_code_3_and_names_the_near_misses(service: Service, here: Here) -> None:
    first = service.post("first")
    service.post("second")
    given = arguments(service, "--timeout", "0", "--since", first, "--subject", "third")
    waited = here(*given, MAILSAC_KEY=KEY)
    assert waited.returncode == exits.TIMED_OUT
    assert re.fullmatch(
        rf"relay: nothing came for {ADDRESS} within 0 s; 1 other mail came: "
        r'"second" from ann@sender\.test at \d\d:\d\d:\d\dZ: arrived, but: subject differs\n',
        waited.stderr,
    )


def test_mail_for_an_address_that_looks_like_it_is_told(service: Service, here: Here) -> None:
    tagged = ADDRESS.replace("@", "+shop@")
    headers = {"authorization": f"Bearer {SECRET}", "x-envelope-to": tagged}
    with httpx2.Client(base_url=service.url, verify=False, trust_env=False) as http:
        http.post("/inbound/raw", content=MAIL % "missed", headers=headers)
        asked = {"since": "0-0", "wait": "20", "inbox": tagged}
        assert http.get("/api/activity", params=asked, headers={"mailsac-key": KEY}).json()["events"]
    given = arguments(service, "--timeout", "0", "--since", "1m", "--subject", "missed")
    waited = here(*given, MAILSAC_KEY=KEY)
    assert waited.returncode == exits.TIMED_OUT
    said = rf"; but mail for another address did: {re.escape(tagged)} from ann@sender\.test at \d\d:\d\d:\d\dZ\n"
    assert re.search(said, waited.stderr)


def test_a_service_that_is_never_reached_is_said_at_once_and_is_exit_code_1() -> None:
    with Running("wait", ADDRESS, "--url", "http://127.0.0.1:1", "--timeout", "1.5", MAILSAC_KEY=KEY) as waiting:
        waiting.err.until("cannot reach http://127.0.0.1:1: Connection refused; trying on until ")
        assert waiting.out.lines == []
        assert waiting.ended() == exits.FAILED
        assert len(waiting.err.lines) == 2
        assert waiting.err.lines[1] == "relay: http://127.0.0.1:1 cannot be asked: Connection refused"


class Empty(BaseHTTPRequestHandler):
    """A service without mail."""

    def do_GET(self) -> None:
        self.send_response(HTTPStatus.NO_CONTENT)
        self.end_headers()


def test_a_service_that_goes_away_meanwhile_is_exit_code_3() -> None:
    with HTTPServer(("127.0.0.1", 0), Empty) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        waiting = Running("wait", ADDRESS, "--url", url, "--timeout", "3", MAILSAC_KEY=KEY)
        server.handle_request()
    with waiting:
        waiting.err.until("trying on until")
        assert waiting.ended() == exits.TIMED_OUT


def test_what_makes_no_sense_to_ask_again_is_exit_code_5(service: Service, here: Here) -> None:
    for address, key in ((ADDRESS, "wrong"), (OTHER_ADDRESS, KEY)):
        refused = here(*arguments(service, address=address), MAILSAC_KEY=key)
        assert refused.returncode == exits.REFUSED
        assert "401" in refused.stderr
        assert key not in refused.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ("no-address",),
        (ADDRESS, "--code", "--link"),
        (ADDRESS, "--link", "--link-regex", "("),
        (ADDRESS, "--url", "x"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(here: Here, wrong: tuple[str, ...]) -> None:
    assert here("wait", *wrong, MAILSAC_KEY=KEY).returncode == exits.MISCONFIGURED
