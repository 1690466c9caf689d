"""The message JSON shape: one encoding for all recipients, and raw that turns back into its bytes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message import EmailAddress, Message, encode
from tests.sealed import message_json

RECEIVED = datetime(2026, 11, 20, 12, 0, 0, 7_999, tzinfo=timezone(timedelta(hours=2)))


@given(st.binary())
def test_raw_turns_back_into_its_bytes(raw: bytes) -> None:
    shape = orjson.loads(message_json(encode(Message(received=RECEIVED, raw=raw))))
    encoding = "latin-1" if shape.get("rawEncoding") == "latin1" else "utf-8"
    assert shape["raw"].encode(encoding) == raw
    assert shape["size"] == len(raw)


def test_raw_encoding_stands_only_beside_what_is_not_utf8() -> None:
    assert "rawEncoding" not in orjson.loads(message_json(encode(Message(received=RECEIVED, raw="é".encode()))))
    assert orjson.loads(message_json(encode(Message(received=RECEIVED, raw=b"\xe9"))))["rawEncoding"] == "latin1"


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (RECEIVED, "2026-11-20T10:00:00.007Z"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00.000Z"),
    ],
)
def test_received_has_milliseconds_and_z(moment: datetime, text: str) -> None:
    assert orjson.loads(message_json(encode(Message(received=moment, raw=b""))))["received"] == text


def test_repeated_headers_are_lists_in_order() -> None:
    headers = (("received", "2"), ("subject", "s"), ("received", "1"), ("received", "0"))
    shape = orjson.loads(message_json(encode(Message(received=RECEIVED, raw=b"", headers=headers))))
    assert list(shape["headers"].items()) == [("received", ["2", "1", "0"]), ("subject", "s")]


def test_one_encoding_serves_all_recipients() -> None:
    encoded = encode(Message(received=RECEIVED, raw=b"x", to=(EmailAddress("a@b.test", "A"),)))
    one, two = (orjson.loads(message_json(encoded, name)) for name in ("a@b.test", "c@d.test"))
    assert (one["inbox"], one["originalInbox"], one["domain"]) == ("a@b.test", "a@b.test", "b.test")
    assert (two["inbox"], two["domain"]) == ("c@d.test", "d.test")
    assert one["to"] == two["to"] == [{"address": "a@b.test", "name": "A"}]


def test_rerouted_mail_tells_where_it_came_from() -> None:
    encoded = encode(Message(received=RECEIVED, raw=b"x"))
    shape = orjson.loads(message_json(encoded, "a@b.test", "alias@b.test"))
    assert (shape["inbox"], shape["originalInbox"]) == ("a@b.test", "alias@b.test")


def test_rebuilt_mail_says_so() -> None:
    assert "rawSynthesized" not in orjson.loads(message_json(encode(Message(received=RECEIVED, raw=b""))))
    assert (
        orjson.loads(message_json(encode(Message(received=RECEIVED, raw=b"", raw_synthesized=True))))[
            "rawSynthesized"
        ]
        is True
    )


@pytest.mark.parametrize("unit", ["a", "é\r\n", "𝄞\x00", "\x7f\u2028", '"\\'])
@pytest.mark.parametrize("codec", ["utf-8", "latin-1"])
def test_a_large_mail_is_encoded_as_a_small_one(unit: str, codec: str) -> None:
    """It is encoded in pieces, whose ends are anywhere in a character."""

    def shape(times: int) -> dict[str, object]:
        text = unit * times
        raw = b"x" + text.encode(codec, "replace")
        sender = (EmailAddress("a@b.test", "A"),)
        headers = () if unit == "a" else (("x", text), ("y", "1"), ("y", text), (text, ""))
        encoded = encode(
            Message(received=RECEIVED, raw=raw, sender=sender, text=text, html=text, spam=0.5, headers=headers)
        )
        found: dict[str, object] = orjson.loads(message_json(encoded))
        assert str(found["raw"]).encode(str(found.get("rawEncoding", "utf-8"))) == raw
        assert found["text"] == found["html"] == text
        assert found["headers"] == ({"x": text, "y": ["1", text], text: ""} if headers else {})
        return found

    small, large = shape(1), shape(700_000)
    assert list(small) == list(large)
    varying = ("raw", "headers", "text", "html", "size")
    assert [small[name] for name in small if name not in varying] == [
        large[name] for name in large if name not in varying
    ]
