"""Every sender keeps the promises that the door relies on."""

from __future__ import annotations

import inspect
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import BadRequest, UnsupportedMediaType
from relay.inbound.providers import NEED_API_KEY, SENDERS
from relay.inbound.webhook.provider import (
    Answers,
    Fetch,
    FetchingSender,
    HeadProven,
    NotProven,
    Sender,
    Unreadable,
)
from relay.network import is_plain_https
from relay.settings import Settings
from tests.harness import Relay
from tests.inbound.posts import header_values, post

SECRET = "the-secret-of-a-sender"
every_sender = pytest.mark.parametrize("name", sorted(SENDERS))


def sender(name: str) -> Sender:
    return SENDERS[name]((SECRET,))


@every_sender
def test_a_sender_has_what_the_protocol_names_with_the_same_arguments(name: str) -> None:
    assert isinstance(vars(Sender)["name"], property)
    for member in ("body_limit", "verify", "parse"):
        promised = inspect.signature(getattr(Sender, member)).parameters
        assert inspect.signature(getattr(type(sender(name)), member)).parameters == promised
    assert isinstance(sender(name).answers, Answers)
    public = {member for member in vars(Sender) if not member.startswith("_")}
    assert public == {"name", "answers", "body_limit", "verify", "parse"}


def test_who_fetches_has_a_key_and_the_same_arguments() -> None:
    fetching = {name: sender(name) for name in SENDERS if isinstance(sender(name), FetchingSender)}
    assert {f"{name}_api_key" for name in fetching} == {
        name for name in Settings.model_fields if name.endswith("_api_key")
    }
    assert set(NEED_API_KEY) <= set(fetching)
    for one in fetching.values():
        for member in ("may_fetch", "key_header", "answers_limit", "fetched"):
            promised = inspect.signature(getattr(FetchingSender, member)).parameters
            assert inspect.signature(getattr(type(one), member)).parameters == promised


@pytest.mark.parametrize("name", ["brevo", "mailgun", "resend"])
@given(st.text() | st.text().map("https://api.{}".format) | st.text().map("https://api.mailgun.net/v3/{}".format))
def test_whatever_url_is_asked_about_it_is_plain_or_refused(name: str, url: str) -> None:
    one = sender(name)
    assert isinstance(one, FetchingSender)
    if one.may_fetch(url):
        assert is_plain_https(url)


@every_sender
def test_a_senders_name_is_its_path_and_its_setting(name: str) -> None:
    assert sender(name).name == name
    assert re.fullmatch(r"[a-z0-9_]+", name)
    assert f"POST /inbound/{name}" in str(Settings.model_fields[f"{name}_secret"].description)


def test_every_secret_that_can_be_set_has_its_sender() -> None:
    assert {f"{name}_secret" for name in SENDERS} == {
        name for name in Settings.model_fields if name.endswith("_secret")
    }


@pytest.mark.anyio
@pytest.mark.settings(
    **{f"{name}_secret": SECRET for name in SENDERS},
    **{f"{name}_api_key": "key" for name in NEED_API_KEY},
)
async def test_every_sender_is_reached_at_its_name(relay: Relay) -> None:
    for name in SENDERS:
        assert (await relay.http.head(f"/inbound/{name}")).status_code == 200
        answers = sender(name).answers
        unproven = {401, answers.not_proven}
        assert (await relay.http.post(f"/inbound/{name}")).status_code in unproven
        # Those that sign take no token.
        unreadable = {400, 415, answers.unreadable, *unproven}
        assert (await relay.http.post(f"/inbound/{name}?token={SECRET}")).status_code in unreadable


@every_sender
@given(st.integers(1, 1 << 40))
def test_the_largest_mail_fits_into_the_body(name: str, max_message_bytes: int) -> None:
    assert sender(name).body_limit(max_message_bytes) >= max_message_bytes


@every_sender
def test_a_sender_never_shows_its_secrets(name: str) -> None:
    assert SECRET not in repr(sender(name))
    assert SECRET not in str(sender(name))


@every_sender
def test_without_secrets_nothing_is_proven(name: str) -> None:
    for request in (post(), post(query="token="), post([("Authorization", "Bearer ")])):
        with pytest.raises(NotProven):
            SENDERS[name](()).verify(request)


@every_sender
def test_whom_the_url_proves_is_asked_before_the_body(name: str) -> None:
    request, one = post(query=f"token={SECRET}"), sender(name)
    try:
        one.verify(request)
    except NotProven:  # it signs
        return
    assert isinstance(one, HeadProven)
    assert one.proof_in_head(request.headers)


@every_sender
@given(
    st.lists(st.tuples(st.sampled_from(["authorization", "webhook-signature", "x"]), header_values())), st.binary()
)
def test_whatever_is_posted_is_not_proven(name: str, headers: list[tuple[str, bytes]], body: bytes) -> None:
    with pytest.raises(NotProven):
        sender(name).verify(post(headers, body))


@every_sender
@given(
    st.lists(st.tuples(st.sampled_from(["content-type", "x-envelope-to", "x-envelope-tls"]), header_values())),
    st.binary() | st.binary().map(lambda body: b"To: a@b.test\n" + body) | st.just(b'{"inbox": "a@b.test"}'),
    st.text(max_size=20),
)
def test_whatever_is_posted_is_parsed_or_refused(
    name: str, headers: list[tuple[str, bytes]], body: bytes, query: str
) -> None:
    request = post(headers, body, query=query)
    try:
        deliveries = sender(name).parse(request)
    except (BadRequest, UnsupportedMediaType):
        return
    for delivery in deliveries:
        assert not isinstance(delivery, Unreadable | Fetch)  # neither sends batches
        assert delivery.recipients
        assert delivery.received.tzinfo
