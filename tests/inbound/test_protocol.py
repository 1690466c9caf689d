"""Every provider keeps the promises that the door relies on."""

from __future__ import annotations

import inspect
import re
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay import builders
from relay.errors import BadRequest, UnsupportedMediaType
from relay.inbound.proof.shared_secret import SharedSecretProvider
from relay.inbound.providers import FETCHING, NEED_API_KEY, PROVIDERS
from relay.inbound.webhook.provider import (
    Answers,
    Fetch,
    FetchingProvider,
    HeadProven,
    NotProven,
    Provider,
    Unreadable,
)
from relay.network import is_plain_https
from relay.settings import Settings
from tests.harness import Relay
from tests.inbound.contract import MailContract, ProviderContract, SharedSecretContract
from tests.inbound.posts import header_values, post

SECRET = "the-secret-of-a-provider"
every_provider = pytest.mark.parametrize("name", sorted(PROVIDERS))


def provider(name: str) -> Provider:
    return PROVIDERS[name]((SECRET,))


@every_provider
def test_a_provider_has_what_the_protocol_names_with_the_same_arguments(name: str) -> None:
    assert isinstance(vars(Provider)["name"], property)
    for member in ("body_limit", "verify", "parse"):
        promised = inspect.signature(getattr(Provider, member)).parameters
        assert inspect.signature(getattr(type(provider(name)), member)).parameters == promised
    assert isinstance(provider(name).answers, Answers)
    public = {member for member in vars(Provider) if not member.startswith("_")}
    assert public == {"name", "answers", "body_limit", "verify", "parse"}


@every_provider
def test_a_provider_is_held_to_the_contract(name: str) -> None:
    tests = vars(import_module(f"tests.inbound.test_{name}")).values()
    held = [
        one
        for one in tests
        if isinstance(one, type) and issubclass(one, ProviderContract) and hasattr(one, "name")
    ]
    assert held
    assert {one.name for one in held} == {name}
    assert all(issubclass(one, MailContract) == (name in builders.names()) for one in held)
    if isinstance(provider(name), SharedSecretProvider):
        assert any(issubclass(one, SharedSecretContract) for one in held)


def test_who_fetches_has_a_key_and_the_same_arguments() -> None:
    fetching = {name: provider(name) for name in PROVIDERS if isinstance(provider(name), FetchingProvider)}
    assert {f"{name}_api_key" for name in fetching} == {
        name for name in Settings.model_fields if name.endswith("_api_key")
    }
    assert set(NEED_API_KEY) <= set(fetching) == set(FETCHING)
    for one in fetching.values():
        for member in ("may_fetch", "key_header", "answers_limit", "fetched"):
            promised = inspect.signature(getattr(FetchingProvider, member)).parameters
            assert inspect.signature(getattr(type(one), member)).parameters == promised


@pytest.mark.parametrize("name", ["brevo", "mailgun", "resend"])
@given(st.text() | st.text().map("https://api.{}".format) | st.text().map("https://api.mailgun.net/v3/{}".format))
def test_whatever_url_is_asked_about_it_is_plain_or_refused(name: str, url: str) -> None:
    one = provider(name)
    assert isinstance(one, FetchingProvider)
    if one.may_fetch(url):
        assert is_plain_https(url)


@every_provider
def test_a_providers_name_is_its_path_and_its_setting(name: str) -> None:
    assert provider(name).name == name
    assert re.fullmatch(r"[a-z0-9_]+", name)
    assert f"POST /inbound/{name}" in str(Settings.model_fields[f"{name}_secret"].description)


def test_every_secret_that_can_be_set_has_its_provider() -> None:
    assert {f"{name}_secret" for name in PROVIDERS} == {
        name for name in Settings.model_fields if name.endswith("_secret")
    }


@pytest.mark.anyio
@pytest.mark.settings(
    **{f"{name}_secret": SECRET for name in PROVIDERS},
    **{f"{name}_api_key": "key" for name in NEED_API_KEY},
)
async def test_every_provider_is_reached_at_its_name(relay: Relay) -> None:
    for name in PROVIDERS:
        assert (await relay.http.head(f"/inbound/{name}")).status_code == 200
        answers = provider(name).answers
        unproven = {401, answers.not_proven}
        assert (await relay.http.post(f"/inbound/{name}")).status_code in unproven
        # Those that sign take no token.
        unreadable = {400, 415, answers.unreadable, *unproven}
        assert (await relay.http.post(f"/inbound/{name}?token={SECRET}")).status_code in unreadable


@every_provider
@given(st.integers(1, 1 << 40))
def test_the_largest_mail_fits_into_the_body(name: str, max_message_bytes: int) -> None:
    assert provider(name).body_limit(max_message_bytes) >= max_message_bytes


@every_provider
def test_a_provider_never_shows_its_secrets(name: str) -> None:
    assert SECRET not in repr(provider(name))
    assert SECRET not in str(provider(name))


@every_provider
def test_without_secrets_nothing_is_proven(name: str) -> None:
    for request in (post(), post(query="token="), post([("Authorization", "Bearer ")])):
        with pytest.raises(NotProven):
            PROVIDERS[name](()).verify(request)


@every_provider
def test_whom_the_url_proves_is_asked_before_the_body(name: str) -> None:
    request, one = post(query=f"token={SECRET}"), provider(name)
    try:
        one.verify(request)
    except NotProven:  # it signs
        return
    assert isinstance(one, HeadProven)
    assert one.proof_in_head(request.headers)


@every_provider
@given(
    st.lists(st.tuples(st.sampled_from(["authorization", "webhook-signature", "x"]), header_values())), st.binary()
)
def test_whatever_is_posted_is_not_proven(name: str, headers: list[tuple[str, bytes]], body: bytes) -> None:
    with pytest.raises(NotProven):
        provider(name).verify(post(headers, body))


@every_provider
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
        deliveries = provider(name).parse(request)
    except (BadRequest, UnsupportedMediaType):
        return
    for delivery in deliveries:
        assert not isinstance(delivery, Unreadable | Fetch)  # neither sends batches
        assert delivery.recipients
        assert delivery.received.tzinfo
