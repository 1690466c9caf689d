"""``POST /inbound/cloudmailin`` beyond its cases: anything that may be posted, and one mail all the way."""

from __future__ import annotations

from typing import ClassVar

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.inbound.providers.cloudmailin import CloudMailin
from relay.inbound.webhook.provider import Answers, Delivery
from tests.examples import examples
from tests.harness import ADDRESS
from tests.inbound.contract import NamedByMailContract, SharedSecretContract
from tests.inbound.posts import post
from tests.inbound.promises import (
    TEXT,
    as_json,
    json_like,
    mails_or_refusal,
)

SECRET = "secret-of-cloudmailin"
provider = CloudMailin((SECRET,))
NAMES = (
    "envelope headers plain html attachments to recipients from remote_ip tls spamd score success message content"
    " url file_name content_type content_id disposition received message_id"
)
TOTAL = settings(max_examples=examples(60), deadline=None)
BOUNDARY = "----cloudmailin"
FORM = ("content-type", f"multipart/form-data; boundary={BOUNDARY}")


def form(*fields: tuple[str, bytes]) -> bytes:
    parts = (
        b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
        % (BOUNDARY.encode(), name.encode("utf-8", "replace"), value)
        for name, value in fields
    )
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def test_a_field_above_1_mib_is_whole() -> None:
    text = b"line of text\n" * 100_000
    for name in ("plain", "html"):
        fields = (("envelope[to]", ADDRESS.encode()), (name, text))
        [delivery] = provider.parse(post([FORM], form(*fields)))
        assert isinstance(delivery, Delivery)
        assert (delivery.parts.text or delivery.parts.html).encode() == text


@TOTAL
@given(json_like(NAMES.split()), st.booleans())
def test_any_json_is_mails_or_refused(event: object, named: bool) -> None:
    if named and isinstance(event, dict):
        event["envelope"] = {"to": ADDRESS, **(event if len(event) < 4 else {})}
    mails_or_refusal(provider, post([("content-type", "application/json")], as_json(event)))


KEYS = st.lists(st.sampled_from([*NAMES.split(), "", "0", "["]), min_size=1, max_size=4).map(
    lambda keys: keys[0] + "".join(f"[{key}]" for key in keys[1:])
)


class TestCloudMailin(SharedSecretContract, NamedByMailContract):
    """It posts while the sending server waits: 503 makes that server try again."""

    name = "cloudmailin"
    answers = Answers(not_proven=503)
    content_type = FORM[1]
    known: ClassVar = {"ip": "192.0.2.1", "rtls": True}
    bodies = st.lists(
        st.tuples(KEYS | TEXT.map(lambda name: name.replace('"', "")), st.binary(max_size=30)), max_size=9
    ).map(lambda fields: form(*fields, ("envelope[to]", ADDRESS.encode())))
