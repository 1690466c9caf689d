"""Proofs: what a provider signs or knows passes, nothing else does, and no input ends otherwise."""

from __future__ import annotations

import base64
import hashlib
import hmac
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from relay.inbound.proof.signature import (
    TOLERANCE_SECONDS,
    is_standard,
    same,
    verify_shared_secret,
    verify_standard,
)
from relay.inbound.webhook.provider import NotProven, Post
from tests.inbound.posts import NOW, Pairs, header_values, post

KEY = bytes(range(32))
BARE = base64.b64encode(KEY).decode()
WRITTEN = f"whsec_{BARE}"
OTHER = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()
PLAIN = "a plain password with ünicode"
BODY = b"Subject: signed\r\n\r\nbody\r\n"
SIGNED_AT = int(NOW.timestamp())

PRIVATE = Ed25519PrivateKey.from_private_bytes(KEY)
PUBLIC_BYTES = PRIVATE.public_key().public_bytes_raw()
PUBLIC = "whpk_" + base64.b64encode(PUBLIC_BYTES).decode()


def reference_signature(secret: str | bytes, *, webhook_id: str = "msg_1", at: int = SIGNED_AT) -> str:
    """As the reference library signs."""
    return Webhook(secret).sign(webhook_id, datetime.fromtimestamp(at, UTC), BODY.decode())


def ed25519_signature(*, webhook_id: str = "msg_1") -> str:
    return "v1a," + base64.b64encode(PRIVATE.sign(f"{webhook_id}.{SIGNED_AT}.".encode() + BODY)).decode()


def signed(
    signature: str | bytes,
    *,
    webhook_id: str | bytes = "msg_1",
    timestamp: str = str(SIGNED_AT),
    body: bytes = BODY,
    prefix: str = "webhook-",
) -> Post:
    headers: Pairs = [
        (f"{prefix}id", webhook_id),
        (f"{prefix}timestamp", timestamp),
        (f"{prefix}signature", signature),
    ]
    return post(headers, body)


def refused(request: Post, *secrets: str, now: datetime = NOW) -> str:
    with pytest.raises(NotProven) as refusal:
        verify_standard(request, secrets, now=now)
    assert refusal.value.status == 401
    return str(refusal.value)


@pytest.mark.parametrize(
    ("secret", "signer"),
    [
        pytest.param(WRITTEN, WRITTEN, id="whsec_ base64"),
        pytest.param(BARE, WRITTEN, id="bare base64"),
        pytest.param(WRITTEN.rstrip("="), WRITTEN, id="without padding"),
        pytest.param(PLAIN, PLAIN.encode(), id="plain text, its literal bytes"),
        pytest.param(BARE, BARE.encode(), id="base64 taken as plain text"),
        pytest.param(WRITTEN, WRITTEN.encode(), id="whsec_ taken as plain text"),
    ],
)
@pytest.mark.parametrize("prefix", ["webhook-", "svix-"])
def test_what_the_reference_library_signs_is_proven(secret: str, signer: str | bytes, prefix: str) -> None:
    request = signed(reference_signature(signer), prefix=prefix)
    assert is_standard(request.headers)
    assert verify_standard(request, (secret,), now=NOW) == "msg_1"
    refused(request, OTHER)


def test_the_signature_of_a_private_key_is_proven_by_its_public_key() -> None:
    assert verify_standard(signed(ed25519_signature()), (PUBLIC,), now=NOW) == "msg_1"
    refused(signed(ed25519_signature(), body=BODY + b"."), PUBLIC)
    refused(signed(ed25519_signature(webhook_id="msg_2")), PUBLIC)
    refused(signed(ed25519_signature().replace("v1a,", "v1,")), PUBLIC)


def test_a_body_that_is_not_utf8_is_signed_as_its_bytes() -> None:
    body = b"Subject: \xe9\xff\x00\r\n\r\n"
    digest = hmac.new(KEY, f"msg_1.{SIGNED_AT}.".encode() + body, hashlib.sha256).digest()
    request = signed("v1," + base64.b64encode(digest).decode(), body=body)
    assert verify_standard(request, (WRITTEN,), now=NOW) == "msg_1"


def test_an_id_beyond_ascii_is_signed_as_the_bytes_that_came() -> None:
    verify_standard(
        signed(reference_signature(WRITTEN, webhook_id="msg_é"), webhook_id="msg_é"), (WRITTEN,), now=NOW
    )


@pytest.mark.parametrize(
    "tampered",
    [
        pytest.param(signed(reference_signature(WRITTEN), body=BODY + b" "), id="body"),
        pytest.param(signed(reference_signature(WRITTEN), body=b""), id="no body"),
        pytest.param(signed(reference_signature(WRITTEN), webhook_id="msg_2"), id="id"),
        pytest.param(signed(reference_signature(WRITTEN), timestamp=str(SIGNED_AT + 1)), id="timestamp"),
        pytest.param(signed(reference_signature(WRITTEN), timestamp=f"0{SIGNED_AT}"), id="timestamp's text"),
    ],
)
def test_whatever_is_changed_after_signing_is_refused(tampered: Post) -> None:
    assert "does not match" in refused(tampered, WRITTEN)


@pytest.mark.parametrize("secrets", [(WRITTEN, OTHER), (OTHER, WRITTEN), (PUBLIC, "x", WRITTEN)])
def test_any_of_several_secrets_proves(secrets: tuple[str, ...]) -> None:
    assert verify_standard(signed(reference_signature(WRITTEN)), secrets, now=NOW) == "msg_1"


def test_any_of_several_signatures_proves() -> None:
    good, other = reference_signature(WRITTEN), reference_signature(OTHER)
    for signatures in (
        f"{other} {good}",
        f"{good} {other}",
        f"v1a,{other[3:]} v2,xyz nonsense v1 v1, v1,% {good}",
        f"{ed25519_signature()} {good}",
    ):
        assert verify_standard(signed(signatures), (WRITTEN,), now=NOW) == "msg_1"
    assert verify_standard(signed(f"{other} {ed25519_signature()}"), (WRITTEN, PUBLIC), now=NOW) == "msg_1"


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "v1",
        "v1,",
        "v1,AAAA",
        "v1,not base64!",
        "v1,é",
        b"v1,\xe9\xff",
        reference_signature(WRITTEN)[3:],  # no version
        reference_signature(WRITTEN).replace("v1,", "v2,"),
        reference_signature(WRITTEN).replace("v1,", "v1a,"),
        reference_signature(WRITTEN).replace("v1,", "V1,"),
        reference_signature(WRITTEN)[:-4],
        reference_signature(WRITTEN) + "!",
        reference_signature(WRITTEN).replace(" ", "") + ",",
        "v1," + hmac.new(KEY, f"msg_1.{SIGNED_AT}.".encode() + BODY, hashlib.sha256).hexdigest(),
    ],
)
@pytest.mark.parametrize("secret", [WRITTEN, PUBLIC, PLAIN])
def test_a_signature_that_is_not_exactly_right_is_refused(signature: str | bytes, secret: str) -> None:
    assert "does not match" in refused(signed(signature), secret)


@pytest.mark.parametrize("seconds", [-TOLERANCE_SECONDS, -1, 0, 1, TOLERANCE_SECONDS])
def test_a_clock_that_is_a_little_off_is_borne(seconds: int) -> None:
    request = signed(reference_signature(WRITTEN))
    assert verify_standard(request, (WRITTEN,), now=NOW + timedelta(seconds=seconds)) == "msg_1"


@pytest.mark.parametrize("seconds", [-86400, -TOLERANCE_SECONDS - 1, TOLERANCE_SECONDS + 1, 86400])
def test_a_stale_or_future_timestamp_is_refused(seconds: int) -> None:
    text = refused(signed(reference_signature(WRITTEN)), WRITTEN, now=NOW + timedelta(seconds=seconds))
    assert "300 s away from our clock" in text


@pytest.mark.parametrize(
    "timestamp",
    [
        "",
        "now",
        "-1",
        "+1",
        "1.5",
        "1e9",
        " 1",
        "1_0",
        "٣",
        "0x1",
        "9" * 16,
        "9" * 400,
        "9" * 5000,
        "9" * 15,
        "0",
        "nan",
    ],
)
def test_a_timestamp_that_is_not_near_unix_seconds_is_refused(timestamp: str) -> None:
    assert "timestamp" in refused(signed(reference_signature(WRITTEN), timestamp=timestamp), WRITTEN)


def test_an_id_with_dots_is_refused_although_its_signature_is_right() -> None:
    """Else a signed body that begins with digits and a dot could be moved into the id and the timestamp."""
    for webhook_id in ("msg.1", ".", "msg_1."):
        request = signed(reference_signature(WRITTEN, webhook_id=webhook_id), webhook_id=webhook_id)
        assert "without dots" in refused(request, WRITTEN)


@pytest.mark.parametrize("missing", ["id", "timestamp", "signature"])
def test_a_missing_header_is_refused(missing: str) -> None:
    values = {"id": "msg_1", "timestamp": str(SIGNED_AT), "signature": reference_signature(WRITTEN)}
    refused(post([(f"webhook-{name}", value) for name, value in values.items() if name != missing], BODY), WRITTEN)


@pytest.mark.parametrize("foreign", ["id", "timestamp"])
@pytest.mark.parametrize(("prefix", "other"), [("webhook-", "svix-"), ("svix-", "webhook-")])
def test_the_two_sets_of_names_are_not_mixed(foreign: str, prefix: str, other: str) -> None:
    values = {"id": "msg_1", "timestamp": str(SIGNED_AT), "signature": reference_signature(WRITTEN)}
    headers = [((other if name == foreign else prefix) + name, value) for name, value in values.items()]
    refused(post(headers, BODY), WRITTEN)


def test_a_public_key_is_no_secret() -> None:
    """Everybody may know it, so nothing that only it makes may prove anything."""
    for key in (PUBLIC.encode(), PUBLIC_BYTES, PUBLIC.removeprefix("whpk_").encode()):
        refused(signed(reference_signature(key)), PUBLIC)
    for headers in ([("Authorization", f"Bearer {PUBLIC}")], [basic(PUBLIC)]):
        with pytest.raises(NotProven):
            verify_shared_secret(post(headers), (PUBLIC,))
    with pytest.raises(NotProven):
        verify_shared_secret(post(query=f"token={PUBLIC}"), (PUBLIC,))


@pytest.mark.parametrize("public", ["whpk_", "whpk_%", "whpk_é", "whpk_AAAA", f"{PUBLIC}AAAA"])
def test_a_public_key_that_is_none_proves_nothing(public: str) -> None:
    refused(signed(ed25519_signature()), public)


@pytest.mark.parametrize("secret", ["short", "c2hvcnQ=", "whsec_c2hvcnQ="])
def test_a_short_text_that_is_also_base64_stays_a_password(secret: str) -> None:
    assert verify_standard(signed(reference_signature(secret.encode())), (secret,), now=NOW) == "msg_1"


def test_a_key_shorter_than_the_standard_allows_is_none() -> None:
    refused(signed(reference_signature(b"short")), "c2hvcnQ=", "whsec_c2hvcnQ=")
    key = b"k" * 24
    verify_standard(signed(reference_signature(key)), (base64.b64encode(key).decode(),), now=NOW)


def basic(password: str | bytes, user: str = "anybody") -> tuple[str, str]:
    password = password.encode() if isinstance(password, str) else password
    return ("Authorization", "Basic " + base64.b64encode(user.encode() + b":" + password).decode())


TOKEN = "s3cret,of:raw +/="
ENDS_LIKE_A_SPACE = "voilà"  # its last byte in UTF-8 is latin-1's no-break space


@pytest.mark.parametrize("secret", [TOKEN, PLAIN, ENDS_LIKE_A_SPACE, WRITTEN, "Å", "x"])
def test_a_shared_secret_is_taken_from_each_place(secret: str) -> None:
    escaped = "".join(f"%{byte:02X}" for byte in secret.encode())
    for request in (
        post([("Authorization", f"Bearer {secret}")]),
        post([("authorization", f"bearer   {secret}\t")]),
        post([basic(secret)]),
        post([basic(secret, user="")]),
        post([basic(secret, user="raw é")]),
        post(query=f"token={escaped}"),
        post(query=f"a=b&token=wrong&token={escaped}"),
        post([("Authorization", "Bearer wrong"), ("Authorization", f"Bearer {secret}")]),
        post([basic("wrong"), ("Authorization", "Digest x"), basic(secret)]),
        post([("Authorization", "Bearer wrong")], query=f"token={escaped}"),
    ):
        verify_shared_secret(request, (secret,))
        verify_shared_secret(request, ("old", secret))
        verify_shared_secret(request, (secret, "new"))
        with pytest.raises(NotProven):
            verify_shared_secret(request, (f"{secret}x", secret[:-1] + "?", "other"))


@pytest.mark.parametrize(
    "request_",
    [
        post([("Authorization", "Bearer wrong")]),
        post([("Authorization", "Bearer")]),
        post([("Authorization", "Bearer ")]),
        post([("Authorization", TOKEN)]),
        post([("Authorization", f"Token {TOKEN}")]),
        post([("Authorization", f"Bearer {TOKEN.upper()}")]),
        post([("Authorization", f"Bearer {TOKEN} {TOKEN}")]),
        post([("Authorization", b"Bearer \xe9\xff")]),
        post([("Authorization", f"Basic {TOKEN}")]),
        post([("Authorization", "Basic é")]),
        post([("Authorization", "Basic")]),
        post([("Authorization", "Basic " + base64.b64encode(TOKEN.encode()).decode().replace("=", ""))]),
        post([basic("")]),
        post([basic("wrong", user=TOKEN)]),
        post([basic(f"x:{TOKEN}")]),
        post(query="token="),
        post(query="token"),
        post(query="Token=s3cret"),
        post(query="token=%E9%FF"),
    ],
)
def test_a_shared_secret_that_is_not_exactly_right_is_refused(request_: Post) -> None:
    with pytest.raises(NotProven, match=r"is wrong|is missing"):
        verify_shared_secret(request_, (TOKEN, "second"))


def test_the_refusal_says_whether_a_secret_came_and_how_to_give_it() -> None:
    no_password = post([("Authorization", "Basic " + base64.b64encode(TOKEN.encode()[:6]).decode())])
    for request, word in ((post(), "missing"), (no_password, "missing"), (post(query="token=x"), "wrong")):
        with pytest.raises(NotProven, match=rf"is {word}: give it as Authorization: Bearer,") as refusal:
            verify_shared_secret(request, (TOKEN,))
        assert refusal.value.headers == {"www-authenticate": 'Basic realm="relay"'}


def test_no_refusal_holds_a_secret_or_what_was_given() -> None:
    given_token = "given-by-the-caller"
    texts = [
        refused(signed(f"v1,{given_token}", webhook_id="msg_x"), WRITTEN, PLAIN, PUBLIC),
        refused(signed("v1,x", timestamp=given_token), WRITTEN),
        refused(signed("v1,x", webhook_id=f"{given_token}."), WRITTEN),
    ]
    for request in (post([("Authorization", f"Bearer {given_token}")]), post([basic(given_token)])):
        with pytest.raises(NotProven) as refusal:
            verify_shared_secret(request, (TOKEN, PLAIN))
        texts.append(f"{refusal.value}{refusal.value.body()}{dict(refusal.value.headers)}")
    for text in texts:
        for secret in (given_token, WRITTEN, BARE, PLAIN, PUBLIC, TOKEN):
            assert secret not in text


TEXT = st.text(max_size=40) | st.sampled_from(["whsec_", "whpk_", WRITTEN, PUBLIC, PLAIN, "whsec_" + "A" * 40])
SIGNED_NAMES = [f"{prefix}-{name}" for prefix in ("webhook", "svix") for name in ("id", "timestamp", "signature")]
NAMES = st.sampled_from(["authorization", *SIGNED_NAMES])
VALUES = header_values() | st.sampled_from(
    [b"Bearer ", b"Basic ", b"Basic Og==", b"v1,", b"v1a,", b"msg", str(SIGNED_AT).encode(), b"v1,AAAA v1a,AAAA"]
)


@given(
    st.lists(st.tuples(NAMES, VALUES), max_size=6),
    st.binary(max_size=40),
    st.text(max_size=40),
    st.lists(TEXT, max_size=3),
)
def test_any_request_and_any_secret_is_proven_or_not(
    headers: list[tuple[str, bytes]], body: bytes, query: str, secrets: list[str]
) -> None:
    request = post(headers, body, query=query)
    with suppress(NotProven):
        verify_shared_secret(request, secrets)
    with suppress(NotProven):
        verify_standard(request, secrets, now=NOW)


@given(TEXT, st.lists(st.tuples(NAMES, VALUES), max_size=6), st.binary(max_size=40))
def test_guessing_never_proves(secret: str, headers: list[tuple[str, bytes]], body: bytes) -> None:
    """With a secret that the generator cannot know."""
    request = post(headers, body, query=f"token={secret}")
    for verify in (
        lambda: verify_shared_secret(request, ("beyond guessing",)),
        lambda: verify_standard(request, ("beyond guessing",), now=NOW),
    ):
        with pytest.raises(NotProven):
            verify()


@given(
    st.binary(min_size=24, max_size=64), st.text(max_size=60), st.integers(-TOLERANCE_SECONDS, TOLERANCE_SECONDS)
)
def test_whatever_text_the_reference_library_signs_is_proven(key: bytes, text: str, seconds: int) -> None:
    at = SIGNED_AT + seconds
    signature = Webhook(key).sign("msg_1", datetime.fromtimestamp(at, UTC), text)
    request = signed(signature, timestamp=str(at), body=text.encode())
    assert verify_standard(request, ("whsec_" + base64.b64encode(key).decode(),), now=NOW) == "msg_1"


@given(st.text(st.characters(), max_size=10), st.text(st.characters(), max_size=10))
def test_texts_are_the_same_only_when_they_are_equal(one: str, other: str) -> None:
    """Lone surrogates among them: they come from environment variables that are not UTF-8."""
    assert same(one, one)
    assert same(one, other) == (one == other)
