"""Tokens of a customer's OAuth server as SendGrid brings them: which count, and where the keys come from."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import math
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from relay.builders.sendgrid import build
from relay.inbound.fetching.document_cache import Fetcher
from relay.inbound.proof.oauth import KeysNotReady, TokenServer, verify_token
from relay.inbound.providers.sendgrid import SendGrid
from relay.inbound.webhook.provider import NotProven
from tests import harness
from tests.harness import ADDRESS, MAIL, Relay
from tests.inbound import test_sendgrid
from tests.inbound.posts import NOW, header_values, post
from tests.inbound.promises import assert_keeps, json_like
from tests.inbound.token_server import (
    AUDIENCE,
    ISSUER,
    SERVER,
    SUBJECT,
    URL,
    KeyServer,
    jwk,
    key,
    key_server,
    key_set,
    token,
)

OAUTH: dict[str, Any] = {
    "sendgrid_oauth_issuer": ISSUER,
    "sendgrid_oauth_audience": AUDIENCE,
    "sendgrid_oauth_subject": SUBJECT,
}
PASSWORD = "password-in-the-url"


def proven(given: str, jwks: bytes | None = None, server: TokenServer = SERVER, now: datetime = NOW) -> bool:
    """Whether the token proves; any error but NotProven fails the test."""
    known = key_set() if jwks is None else jwks
    try:
        verify_token(given, server, lambda _url, _within_seconds: known, now=now)
    except NotProven:
        return False
    return True


@pytest.mark.anyio
async def test_a_mail_with_a_token_arrives_when_the_keys_have_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async with key_server(tmp_path) as (keys, certificate):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        monkeypatch.setenv("NO_PROXY", "localhost")
        async with harness.relay("memory://", tmp_path, sendgrid_jwks_url=keys.url, **OAUTH) as relay:
            now = datetime.now(UTC)
            good, forged = token(now=now), token(key(number=2), now=now)
            await keys.first.wait()  # they are asked for at the start
            async with relay.listen() as socket:
                waiting = asyncio.create_task(_send(relay, MAIL, good))
                await relay.send("meanwhile")
                assert not waiting.done()
                keys.open.set()
                answer = await waiting
                assert answer.status_code == 200, answer.text
                assert [await socket.subject() for _ in range(2)] == ["meanwhile", "Hello"]
            refused = [await _send(relay, MAIL + b".", one) for one in (forged, good[:-9], "", "eyJ")]
    assert [answer.status_code for answer in refused] == [503] * 4
    assert refused[0].json()["error"] == "no key at RELAY_SENDGRID_JWKS_URL has signed the bearer token"
    assert keys.asked == 1
    shown = "".join([*(answer.text for answer in refused), *capfd.readouterr()])
    assert not any(secret in shown for secret in (good, forged))


@pytest.mark.anyio
async def test_a_mail_whose_keys_do_not_come_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with key_server(tmp_path) as (keys, certificate):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        monkeypatch.setenv("NO_PROXY", "localhost")
        keys.status = "500 Internal Server Error"
        keys.open.set()
        async with harness.relay("memory://", tmp_path, sendgrid_jwks_url=keys.url, **OAUTH) as relay:
            large = MAIL + b"x" * 300_000  # more than is on its way when it is refused
            answers = [await _send(relay, large, token(now=datetime.now(UTC))) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [503] * 2
    assert all("are being fetched; send it again" in answer.text for answer in answers)
    assert not any("connection" in answer.headers for answer in answers)  # the body was read all the same
    assert keys.asked == 1


async def _send(relay: Relay, mail: bytes, given: str) -> httpx2.Response:
    target, headers, body = build(mail, [ADDRESS], given, datetime.now(UTC))
    return await relay.http.post(target, headers=headers, content=body)


class Clock:
    """Seconds, by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def fetching(keys: KeyServer, certificate: Path, clock: Clock) -> AsyncIterator[Fetcher]:
    context = ssl.create_default_context(cafile=certificate)
    transport = httpx2.AsyncHTTPTransport(verify=context, trust_env=False)
    fetcher = Fetcher(lambda _url: False, exactly=[keys.url], transport=transport, clock=clock)
    running = asyncio.create_task(fetcher.run())
    try:
        yield fetcher
    finally:
        running.cancel()
        await asyncio.wait([running])


async def outcome(fetcher: Fetcher, server: TokenServer, given: str) -> str:
    """As the door asks: once more when what was missing has come, or not."""
    for _ in range(2):
        try:
            verify_token(given, server, fetcher.cached, now=NOW)
        except KeysNotReady as missing:
            await fetcher.settled(missing.url)
        except NotProven:
            return "not proven"
        else:
            return "proven"
    return "come again"


@pytest.mark.anyio
async def test_keys_are_asked_for_when_they_are_needed_and_no_more(tmp_path: Path) -> None:
    clock, old, new = Clock(), token(), token(key(number=2), kid="2")
    async with key_server(tmp_path) as (keys, certificate), fetching(keys, certificate, clock) as fetcher:
        keys.open.set()
        server = TokenServer(keys.url, ISSUER, AUDIENCE)
        assert [await outcome(fetcher, server, old) for _ in range(3)] == ["proven"] * 3
        assert keys.asked == 1
        clock.now += 59  # for a key that nobody knows: not twice within a minute
        assert [await outcome(fetcher, server, new) for _ in range(3)] == ["not proven"] * 3
        assert keys.asked == 1
        clock.now += 2
        keys.body = key_set(jwk(key()), jwk(key(number=2), kid="2"))
        assert await outcome(fetcher, server, new) == "proven"
        assert keys.asked == 2
        # After an hour they are asked for anew, and serve meanwhile; the one that is gone then proves nothing.
        clock.now += 3601
        keys.body = key_set(jwk(key(number=2), kid="2"))
        verify_token(old, server, fetcher.cached, now=NOW)
        await fetcher.settled(keys.url)
        assert await outcome(fetcher, server, old) == "not proven"
        assert keys.asked == 3


@pytest.mark.anyio
async def test_keys_serve_for_a_day_while_the_server_is_away(tmp_path: Path) -> None:
    clock = Clock()
    async with key_server(tmp_path) as (keys, certificate), fetching(keys, certificate, clock) as fetcher:
        keys.open.set()
        server = TokenServer(keys.url, ISSUER, AUDIENCE)
        assert await outcome(fetcher, server, token()) == "proven"
        keys.status = "500 Internal Server Error"
        clock.now += 23 * 3600
        assert await outcome(fetcher, server, token()) == "proven"
        await fetcher.settled(keys.url)
        asked = keys.asked
        assert await outcome(fetcher, server, token(kid="2")) == "come again"
        assert keys.asked == asked == 2  # not again within 20 s
        clock.now += 2 * 3600
        assert await outcome(fetcher, server, token()) == "come again"
        keys.status = "200 OK"
        clock.now += 20
        assert await outcome(fetcher, server, token()) == "proven"


@pytest.mark.anyio
async def test_no_other_url_of_that_server_is_asked(tmp_path: Path) -> None:
    async with key_server(tmp_path) as (keys, certificate), fetching(keys, certificate, Clock()) as fetcher:
        keys.open.set()
        for url in (
            keys.url + "?",
            keys.url + "/x",
            keys.url.replace("localhost", "127.0.0.1"),
            "https://localhost/jwks",
        ):
            assert fetcher.cached(url, 0) is None
            await fetcher.settled(url)
        assert keys.asked == 0


@pytest.mark.parametrize(
    "algorithm",
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"],
)
def test_each_kind_of_key_proves_with_and_without_its_name(algorithm: str) -> None:
    private = key(algorithm)
    good = token(private, algorithm)
    for listed in (jwk(private, algorithm), jwk(private, algorithm, alg=None, use=None)):
        assert proven(good, key_set(jwk(key(number=3), kid="3"), listed))
        assert proven(token(private, algorithm, kid=None), key_set(jwk(key(number=3), kid="3"), listed))
    assert not proven(good, key_set(jwk(private, algorithm, kid="2")))
    assert not proven(good, key_set(jwk(private, algorithm, use="enc")))
    assert not proven(good, key_set(jwk(private, algorithm, alg="HS256")))


def test_a_public_key_is_no_shared_secret_and_none_is_no_signature() -> None:
    public = key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    claims = json.dumps({"iss": ISSUER, "aud": AUDIENCE, "sub": SUBJECT, "exp": 2**40})
    symmetric = {"kty": "oct", "k": _base64(public), "kid": "1", "alg": "HS256"}
    for jwks in (None, key_set(symmetric), key_set({**jwk(key()), **symmetric, "kty": "RSA"})):
        assert not proven(by_hand('{"alg":"none","kid":"1"}', claims, None), jwks)
        assert not proven(by_hand('{"alg":"HS256","kid":"1"}', claims, public), jwks)


def by_hand(header: str, claims: str = "{}", secret: bytes | None = b"x") -> str:
    """What PyJWT would not make; signed as HS256 is, or not at all."""
    signed = f"{_base64(header.encode())}.{_base64(claims.encode())}"
    return f"{signed}.{_base64(hmac.digest(secret, signed.encode(), hashlib.sha256)) if secret else ''}"


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


@pytest.mark.parametrize(
    ("claims", "good"),
    [
        ({}, True),
        ({"aud": ["another", AUDIENCE]}, True),
        ({"aud": "another"}, False),
        ({"aud": [AUDIENCE + "/"]}, False),
        ({"aud": {AUDIENCE: 1}}, False),
        ({"aud": [[AUDIENCE]]}, False),
        ({"aud": None}, False),
        ({"sub": "another@clients"}, False),
        ({"sub": [SUBJECT]}, False),
        ({"sub": None}, False),
        ({"iss": ISSUER.rstrip("/")}, False),
        ({"iss": None}, False),
        ({"exp": None}, False),
        ({"exp": "2000000000"}, False),
        ({"exp": True}, False),
        ({"exp": 10**400}, False),
        ({"exp": []}, False),
        ({"exp": NOW.timestamp() - 59}, True),
        ({"exp": int(NOW.timestamp()) - 60}, False),
        ({"nbf": int(NOW.timestamp()) + 60}, True),
        ({"nbf": int(NOW.timestamp()) + 61}, False),
        ({"nbf": "now"}, False),
    ],
)
def test_what_a_token_must_say(claims: dict[str, Any], good: bool) -> None:
    assert proven(token(**claims)) is good


def test_audience_or_subject_may_be_left_out_but_not_both() -> None:
    assert proven(token(sub=None), server=TokenServer(URL, ISSUER, audience=AUDIENCE))
    assert proven(token(aud=None), server=TokenServer(URL, ISSUER, subject=SUBJECT))
    assert not proven(token(sub="another"), server=TokenServer(URL, ISSUER, subject=SUBJECT))
    for none_named in (TokenServer(URL, ISSUER), TokenServer(URL, "")):
        assert not proven(token(), server=none_named)
        assert not proven(token(aud="", sub="", iss=""), server=none_named)


def test_a_key_that_is_too_small_or_another_proves_nothing() -> None:
    small = rsa.generate_private_key(65537, 1024)  # noqa: S505
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        weak = token(small)
    assert not proven(weak, key_set(jwk(small)))
    assert not proven(token(key(number=2)), key_set(jwk(key())))
    good = token()
    for place in range(0, len(good), 41):
        assert not proven(good[:place] + ("A" if good[place] != "A" else "B") + good[place + 1 :])
    assert not proven(good, now=NOW + timedelta(hours=2))


@pytest.mark.parametrize(
    "jwks", [b"", b"{}", b"[]", b"<html>", b'{"keys":{}}', b'{"keys":[5,null,{}]}', b'{"keys":' * 2000]
)
def test_a_set_of_keys_that_is_none_proves_nothing(jwks: bytes) -> None:
    assert not proven(token(), jwks)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "a.b.c",
        "é.é.é",
        "\ud800.\ud800.x",
        "A" * 20_000,
        by_hand("[" * 9000),
        by_hand('{"alg":["RS256"]}'),
        by_hand('{"alg":"RS256","kid":5}'),
        by_hand('{"alg":"RS256","kid":"1"}', "[" * 9000),
        by_hand('{"alg":"RS256","b64":false,"crit":["b64"]}', ""),
        by_hand('{"alg":"RS256","kid":"1"}'),
    ],
)
def test_a_token_that_is_none(given: str) -> None:
    assert not proven(given)


@given(
    st.text(max_size=80)
    | st.lists(st.text(st.sampled_from("eyJhbGciOi.-_="), max_size=40), max_size=4).map(".".join)
)
def test_any_token_is_not_proven(given: str) -> None:
    assert not proven(given)


@given(
    json_like(["exp", "iss", "aud", "sub", "nbf", "iat"]),
    json_like(["keys", "kty", "kid", "n", "e", "crv", "alg"]),
)
def test_any_claims_and_any_keys_are_proven_or_not(claims: Any, jwks: Any) -> None:
    signed = token(**claims) if _are_claims(claims) else token()
    with suppress(NotProven):
        verify_token(signed, SERVER, lambda _url, _within_seconds: json.dumps(jwks).encode(), now=NOW)
    said = claims if _are_claims(claims) else {}
    if proven(signed):
        assert not {"iss", "aud", "sub"} & said.keys()
        assert said.get("exp", math.inf) > NOW.timestamp() - 60
    else:
        assert {"iss", "aud", "sub", "exp", "nbf"} & said.keys()


def _are_claims(value: Any) -> bool:
    """What PyJWT would make a token of."""
    return isinstance(value, dict) and isinstance(value.get("iss", ""), str)


def test_only_what_keys_could_prove_has_them_asked_for() -> None:
    asked: list[str] = []

    def none_here(url: str, _within_seconds: float) -> None:
        asked.append(url)

    for nothing in ("", "a.b.c", by_hand('{"alg":"none"}'), by_hand('{"alg":"HS256","kid":"1"}')):
        with pytest.raises(NotProven):
            verify_token(nothing, SERVER, none_here, now=NOW)
    assert asked == []
    with pytest.raises(KeysNotReady) as wait:
        verify_token(token(), SERVER, none_here, now=NOW)
    assert (wait.value.status, wait.value.url, set(asked)) == (503, URL, {URL})


@given(header_values(), st.sampled_from(["Bearer ", "bearer  ", "Basic ", ""]))
def test_whatever_authorization_says_is_not_proven(value: bytes, scheme: str) -> None:
    provider = SendGrid((PASSWORD,), tokens=SERVER, key_sets=lambda _url, _within_seconds: key_set())
    with pytest.raises(NotProven):
        provider.verify(post([("authorization", scheme.encode() + value)]))


def test_a_token_is_one_of_the_proofs_and_lies_in_the_head() -> None:
    def keys(_url: str, _within_seconds: float) -> bytes:
        return key_set()

    alone = SendGrid((), tokens=SERVER, key_sets=keys)
    beside = SendGrid((PASSWORD, test_sendgrid.PUBLIC_KEY), tokens=SERVER, key_sets=keys)
    bearer = ("authorization", f"Bearer {token()}")
    _, signed, body = build(MAIL, [ADDRESS], test_sendgrid.PRIVATE_KEY, NOW)
    alone.verify(post([bearer]))
    alone.verify(post([bearer, *signed], body))  # a policy with both, of which one is set up here
    for proof in (
        post([bearer]),
        post(signed, body),
        post(query=f"token={PASSWORD}"),
        post([bearer, *signed], b"x"),
    ):
        beside.verify(proof)
    assert alone.proof_in_head(post([bearer, *signed]).headers)
    assert not beside.proof_in_head(post([bearer, *signed]).headers)
    for refused in (
        post(),
        post(query=f"token={token()}"),
        post([("authorization", "Bearer x")]),
        post(signed, b"x"),
    ):
        for provider in (alone, beside):
            with pytest.raises(NotProven):
                provider.verify(refused)
    assert_keeps(
        PASSWORD, beside, post(query=f"token={PASSWORD}x"), post([("authorization", f"Bearer {PASSWORD}x")])
    )
