"""Whom the listener calls: from what people paste, and never with the key in the URL."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.client.target import BadTarget, Target, parse


def test_a_base_url_is_completed() -> None:
    target = parse("https://relay.example.com", account="user1", addresses=["a@x.test,b@x.test"])
    assert (
        target.url
        == "wss://relay.example.com/incoming-messages?_id=user1&addresses=a@x.test,b@x.test&frames=envelope"
    )
    assert (target.names, target.key, target.since) == (("a@x.test", "b@x.test"), "", "")


def test_the_url_of_the_documentation_keeps_everything_but_its_key_and_its_since() -> None:
    query = "_id=user1&addresses=user1@mailsac.com"
    target = parse(f"wss://sock.mailsac.com/incoming-messages?{query}&key=k%2Bey&since=10m")
    url = f"wss://sock.mailsac.com/incoming-messages?{query}&frames=envelope"
    assert target == Target(url, ("user1@mailsac.com",), "k+ey", "10m")
    assert "k+ey" not in repr(target)


def test_what_is_given_beside_the_url_wins() -> None:
    target = parse("ws://h/p?addresses=a@x.test&_id=a&frames=message", addresses=["b@x.test"], account="b")
    assert target.url == "ws://h/p?addresses=b@x.test&_id=b&frames=envelope"


@pytest.mark.parametrize(
    ("names", "inbox", "meant"),
    [
        ("User1@X.test", "user1@x.test", True),
        ("user2@x.test", "user1@x.test", False),
        ("X.test", "user1@x.test", True),
        ("@x.test", "user1@x.test", True),
        ("x.test", "user1@sub.x.test", False),
        ("not an address@, a@x.test", "a@x.test", True),
    ],
)
def test_it_knows_the_inboxes_that_it_listens_to(names: str, inbox: str, meant: bool) -> None:
    assert parse("ws://h", addresses=[names]).listened()(inbox) is meant


@pytest.mark.parametrize("url", ["", "h", "ftp://h", "ws://", "ws://h:x", "ws://[", "ws://h:99999", "ws://a..b"])
def test_what_is_no_socket_is_refused(url: str) -> None:
    with pytest.raises(BadTarget, match="must be such as"):
        parse(url, addresses=["a@x.test"])


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(BadTarget) as refused:
        parse("ws://user:pa55@h", addresses=["a@x.test"])
    assert "pa55" not in str(refused.value)


def test_addresses_must_be_named() -> None:
    with pytest.raises(BadTarget, match="no addresses"):
        parse("ws://h")


@given(st.text() | st.from_regex(r"wss?://[a-z.:0-9]*/\S*\?key=secret&\S*", fullmatch=True))
def test_any_text_is_a_target_without_key_or_refused(text: str) -> None:
    with suppress(BadTarget):
        target = parse(text, addresses=["a@x.test"])
        assert target.url.startswith(("ws://", "wss://"))
        assert urlsplit(target.url).path.isascii()
        assert "key" not in dict(parse_qsl(urlsplit(target.url).query))
