"""What every provider must do, as classes whose tests a provider's test file inherits.

``class TestMailjet(SharedSecretContract)`` runs them, once it has ``name``, ``answers`` and what its posts look like.
The rest of its file is what is special. Several classes may be inherited. For the proof there are
``SharedSecretContract``, ``SignedContract`` and ``StampedContract``; ``JsonContract`` is about the body,
``NamedByMailContract`` about the event. ``ProviderContract`` alone is for a provider without a builder.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from relay import builders, mime
from relay.builders import Built
from relay.errors import UnsupportedMediaType
from relay.inbound.providers import PROVIDERS
from relay.inbound.webhook.provider import Answers, Delivery, HeadProven, NotProven, Post, Provider
from tests.examples import examples
from tests.harness import ADDRESS, Relay
from tests.inbound import journey
from tests.inbound.json_events import damaged
from tests.inbound.posts import NOW, Pairs, header_values, post
from tests.inbound.promises import assert_keeps, mails_or_refusal, proven_or_not

# hypothesis warns of a test that runs in several classes, because it keeps one list of failures for all of them. Here
# a body that breaks one provider is a good body to try on the others.
ANY = settings(deadline=None, suppress_health_check=[HealthCheck.differing_executors])
MANY = settings(ANY, max_examples=examples(80))
LARGE = (
    "From: a@b.test\r\nSubject: large\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    + "\r\n".join(["ünïcödé " * 12] * 30_000)
    + "\r\n"
).encode()


class ProviderContract:
    """A provider that takes any post: it gives mails or a documented refusal, and shows no secret."""

    name: ClassVar[str]  # as in PROVIDERS
    answers: ClassVar[Answers]  # the statuses that have the meant effect at the provider
    secret: ClassVar[str] = "the-secret-of-the-provider"  # what a builder signs with
    proof: ClassVar[str] = ""  # what is RELAY_<NAME>_SECRET then; "" = the secret itself
    content_type: ClassVar[str] = "application/json"
    # Bodies like those of the provider, good and damaged.
    bodies: ClassVar[st.SearchStrategy[bytes]]
    # Headers in which a proof may come, with any values.
    heads: ClassVar[st.SearchStrategy[Any]] = st.lists(st.tuples(st.just("authorization"), header_values()))

    older: ClassVar[str] = "the-secret-before"  # is one of the secrets, too
    settings: ClassVar[Mapping[str, Any]] = {}  # of the relay, beside the secrets

    def __init_subclass__(cls) -> None:
        """Sets the secrets of the provider for each test that starts a relay."""
        if hasattr(cls, "name"):
            secrets = f"{cls.older},{cls.proof or cls.secret}"
            cls.pytestmark = [pytest.mark.settings(**{f"{cls.name}_secret": secrets}, **cls.settings)]

    pytestmark: ClassVar[list[pytest.MarkDecorator]]

    def provider(self, *secrets: str) -> Provider:
        """With these secrets; with that of the class when there are none."""
        return PROVIDERS[self.name](secrets or (self.proof or self.secret,))

    def test_the_answers_have_the_meant_effect(self) -> None:
        assert self.provider().answers == self.answers

    @ANY
    @given(st.data(), st.text(max_size=20), st.binary(max_size=200))
    def test_any_credentials_are_not_proven(self, data: st.DataObject, token: str, body: bytes) -> None:
        headers = data.draw(self.heads)
        for one in (self.provider(), self.provider(self.older, self.proof or self.secret)):
            for query in (token, f"token={token}"):
                assert not proven_or_not(one, post(headers, body, query=query))

    @MANY
    @given(st.data())
    def test_any_body_like_its_own_is_mails_or_refused(self, data: st.DataObject) -> None:
        mails_or_refusal(self.provider(), post([("Content-Type", self.content_type)], data.draw(self.bodies)))

    @ANY
    @given(st.data(), st.binary(max_size=200))
    def test_any_body_of_any_type_is_refused(self, data: st.DataObject, body: bytes) -> None:
        kind = data.draw(header_values() | st.sampled_from([self.content_type.encode(), b"application/json"]))
        assert mails_or_refusal(self.provider(), post([("Content-Type", kind)], body)) == []


class MailContract(ProviderContract):
    """A provider with a builder, whose post is one mail."""

    mail: ClassVar[bytes] = journey.MAIL
    rebuilt: ClassVar[bool] = False  # the post has fields of the mail, not its bytes
    known: ClassVar[Mapping[str, Any]] = {}  # members of the message that the builder's post has beside the mail

    def built(self, secret: str = "", mail: bytes = b"", now: datetime = NOW) -> Built:
        """As the provider would post it, for one recipient."""
        return _built(self.name, mail or self.mail, secret or self.secret, now)

    def post(self, secret: str = "", mail: bytes = b"", now: datetime = NOW) -> Post:
        """The same as the door hands it to the provider."""
        return journey.as_post(self.built(secret, mail, now), NOW)

    @pytest.mark.anyio
    async def test_a_mail_goes_all_the_way_once(self, relay: Relay) -> None:
        now = datetime.now(UTC)
        async with relay.listen() as socket:
            for secret in (self.older, self.secret, self.secret):
                target, headers, body = self.built(secret, now=now)
                answer = await relay.http.post(target, content=body, headers=headers)
                assert answer.status_code == 200, answer.text
            message = await socket.message()
            await relay.send("the next")
            assert await socket.subject() == "the next"
        assert answer.json()["accepted"] == [{"inbox": ADDRESS, "_id": message["_id"], "duplicate": True}]
        original = mime.parse(self.mail)
        assert (message["inbox"], message["subject"], message["text"]) == (ADDRESS, "Hello", original.text)
        assert (message["html"], message["attachments"] or []) == (original.html, list(original.attachments))
        assert message["from"] == [{"address": "joerg@sender.test", "name": "Jörg"}]
        assert message.get("rawSynthesized", False) is self.rebuilt
        assert self.rebuilt or message["raw"].encode(message.get("rawEncoding", "utf-8")) == self.mail
        assert {name: message[name] for name in self.known} == self.known

    @pytest.mark.anyio
    async def test_no_answer_and_no_line_of_the_log_shows_a_secret(self, relay: Relay) -> None:
        wrong = "a-secret-of-nobody"
        with capture_logs() as lines:
            refused, older, taken = [await self._sent(relay, one) for one in (wrong, self.older, self.secret)]
        assert (refused[0] in (401, self.answers.not_proven), older[0], taken[0]) == (True, 200, 200)
        assert {"inbound.refused", "inbound.taken"} <= {
            line["event"] for line in lines if line.get("provider") == self.name
        }
        secrets = (wrong, self.older, self.secret, self.proof or self.secret)
        for shown in (refused[1], older[1], taken[1], str(lines)):
            assert not [secret for secret in secrets if secret in shown]

    async def _sent(self, relay: Relay, secret: str) -> tuple[int, str]:
        target, headers, body = self.built(secret, now=datetime.now(UTC))
        answer = await relay.http.post(target, content=body, headers=headers)
        return answer.status_code, f"{answer.text} {dict(answer.headers)}"

    def test_a_refusal_shows_no_secret(self) -> None:
        proof = self.proof or self.secret
        broken = replace(self.post(), body=b"x")  # the head is right
        assert_keeps(proof, self.provider(self.older, proof), self.post("a-secret-of-nobody"), broken)
        assert self.older not in repr(self.provider(self.older, proof))

    def test_each_of_its_secrets_proves_and_no_other(self) -> None:
        both = self.provider(self.older, self.proof or self.secret)
        both.verify(self.post())
        both.verify(self.post(self.older))
        for other in ("a-secret-of-nobody", f"{self.older}x", self.older[:-1], self.older.upper()):
            with pytest.raises(NotProven):
                both.verify(self.post(other))

    @ANY
    @given(st.data())
    def test_a_post_that_was_cut_off_is_mails_or_refused(self, data: st.DataObject) -> None:
        whole = self.post()
        cut = data.draw(st.integers(0, len(whole.body) - 1))
        mails_or_refusal(self.provider(), replace(whole, body=whole.body[:cut]))

    def test_a_large_mail_fits(self) -> None:
        request, provider = self.post(mail=LARGE), self.provider()
        assert len(LARGE) > 1 << 20
        assert len(request.body) <= provider.body_limit(len(LARGE))
        provider.verify(request)
        [delivery] = provider.parse(request)
        assert isinstance(delivery, Delivery)
        assert delivery.parts.text == mime.parse(LARGE).text
        assert delivery.raw_synthesized is self.rebuilt
        assert self.rebuilt or delivery.raw == LARGE

    def event(self, mail: bytes, *also: str) -> str:
        """What the builder's post of the mail is called; ``also``: further recipients of its envelope."""
        request = builders.build(self.name, mail, [ADDRESS, *also], self.secret, NOW)
        [delivery] = self.provider().parse(journey.as_post(request, NOW))
        assert isinstance(delivery, Delivery)
        return delivery.event

    def test_another_mail_under_the_same_message_id_is_another_event(self) -> None:
        other = self.mail.replace(b"world", b"w0rld")
        assert self.event(self.mail) == self.event(self.mail) != self.event(other)


class SharedSecretContract(MailContract):
    """A provider that signs nothing, or signs only where a key is set: the secret in the URL or the head proves."""

    def test_the_secret_may_come_in_each_way(self) -> None:
        for headers, query in (
            *_ways(self.secret),
            ([*_bearer("x"), *_basic("x"), *_bearer(self.secret)], "token=x"),
        ):
            self.provider().verify(post(headers, query=query))

    def test_a_wrong_secret_is_told_from_a_missing_one(self) -> None:
        how = ": give it as Authorization: Bearer, as Basic password, or as ?token="
        for wrong in ("x", self.secret[:-1], f"{self.secret} x", self.secret.upper()):
            for headers, query in _ways(wrong):
                assert self.refusal(post(headers, query=query)) == f"the provider's secret is wrong{how}"
        for request in (post(), post([("Authorization", "Basic %"), ("X-Token", self.secret)], query="key=x")):
            assert self.refusal(request) == f"the provider's secret is missing{how}"

    def test_a_public_key_is_no_secret(self) -> None:
        """``whpk_`` begins what anybody may know."""
        for headers, query in _ways("whpk_x"):
            with pytest.raises(NotProven):
                self.provider("whpk_x").verify(post(headers, query=query))

    def test_the_secret_is_asked_for_before_the_body_is_read(self) -> None:
        provider = self.provider()
        assert isinstance(provider, HeadProven)
        for headers, _ in ([], ""), *_ways("x"):
            assert provider.proof_in_head(post(headers).headers)

    def refusal(self, request: Post) -> str:
        """What ``verify`` says against it."""
        with pytest.raises(NotProven) as refusal:
            self.provider().verify(request)
        return str(refusal.value)


@lru_cache(maxsize=8)
def _built(name: str, mail: bytes, secret: str, now: datetime) -> Built:
    """Once for all examples of a test: a builder may load a private key, and sign."""
    return builders.build(name, mail, [ADDRESS], secret, now)


def _bearer(secret: str) -> Pairs:
    return [("Authorization", f"Bearer {secret}")]


def _basic(secret: str) -> Pairs:
    return [("Authorization", "Basic " + base64.b64encode(f"anybody:{secret}".encode()).decode())]


def _ways(secret: str) -> list[tuple[Pairs, str]]:
    """Headers and query of a request, for each way to give the secret."""
    return [(_bearer(secret), ""), (_basic(secret), ""), ([], urlencode({"token": secret}))]


class SignedContract(MailContract):
    """A provider whose signature covers the body."""

    step: ClassVar[int] = 11  # every which byte is changed

    def test_every_byte_of_the_body_is_signed(self) -> None:
        good, provider = self.post(), self.provider()
        provider.verify(good)
        body = good.body
        changed = [body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :] for at in range(0, len(body), self.step)]
        for other in (*changed, body[:-1], body + b" ", body + b"&more=1", b""):
            assert not proven_or_not(provider, replace(good, body=other)), other


class StampedContract(MailContract):
    """A provider that signs the time of its post: one that is too old, or of the future, is not proven."""

    max_age: ClassVar[timedelta]
    max_ahead: ClassVar[timedelta]

    @pytest.mark.parametrize(("seconds_beyond", "proven"), [(0, True), (1, False)])
    @pytest.mark.parametrize("side", ["old", "future"])
    def test_a_timestamp_may_be_so_far_away_and_no_further(
        self, side: str, seconds_beyond: int, proven: bool
    ) -> None:
        more = timedelta(seconds=seconds_beyond)
        now = NOW - self.max_age - more if side == "old" else NOW + self.max_ahead + more
        assert proven_or_not(self.provider(), self.post(now=now)) is proven


class JsonContract(MailContract):
    """A provider that posts one JSON object for each mail."""

    called: ClassVar[str]  # in the refusal of what is no JSON

    def test_what_another_provider_posts_is_refused_by_name(self) -> None:
        with pytest.raises(UnsupportedMediaType, match=f"the JSON of {self.called}"):
            self.provider().parse(post([("Content-Type", "message/rfc822")], self.mail))


class NamedByMailContract(MailContract):
    """A provider that gives no name to an event: the mail itself, without its envelope's recipients, is the name."""

    def test_a_sending_server_that_tries_again_makes_the_same_event(self) -> None:
        """Its second session is another post: other times in Received, maybe other recipients left."""
        first = self.event(b"Received: at 10:00\r\n" + self.mail, "b@b.test")
        assert self.event(b"Received: at 10:30\r\n" + self.mail) == first

    def test_a_mail_with_another_file_is_another_event(self) -> None:
        assert self.event(self.mail) != self.event(self.mail.replace(b"a,b", b"c,d"))


def bodies_like(event: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """The event with damaged members, or no JSON at all."""
    return damaged(event) | st.binary(max_size=60)
