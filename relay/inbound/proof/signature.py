"""Proofs that a post comes from its provider. Total: they return, or raise NotProven, whatever comes.

Secrets are lists, for rotation: any match passes. All comparisons are on bytes and in constant time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from starlette.datastructures import Headers

from relay.inbound.webhook.provider import NotProven, Post

TOLERANCE_SECONDS = 300  # Standard Webhooks 1.0.0, "Verifying the timestamp"; the reference library's too
_TIMESTAMP = re.compile(r"[0-9]{1,15}")
_PREFIXES = ("webhook-", "svix-")  # Svix sends its own names with the same content
_MIN_KEY_BYTES = 24  # Standard Webhooks: 24 to 64 bytes of key; shorter "base64" is a plain password


def same(given: str | bytes, secret: str | bytes) -> bool:
    """Constant-time comparison of any two texts; ``hmac.compare_digest`` alone refuses non-ASCII text."""
    return hmac.compare_digest(_bytes(given), _bytes(secret))


def any_same(given: Iterable[str | bytes], secrets: Iterable[str | bytes]) -> bool:
    """Whether one of the texts is one of the secrets. Every pair is compared, so that the time does not tell which
    secret came near."""
    secrets = list(secrets)
    return any([same(text, secret) for text in given for secret in secrets])


HEX_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")  # how a digest is written that a header may bring


def hmac_digest(secret: str, signed: str | bytes, algorithm: str) -> bytes:
    """RFC 2104, with the UTF-8 bytes of the secret as key; ``algorithm``: "sha256" or "sha1"."""
    return hmac.digest(_bytes(secret), _bytes(signed), algorithm)


def verify_shared_secret(post: Post, secrets: Sequence[str]) -> None:
    """Accepts a secret as Bearer token, as Basic password (any user name), or as ``?token=``.

    Raises NotProven.
    """
    given = list(_shared_secrets_in(post))
    if not any_same(given, [secret for secret in secrets if not secret.startswith("whpk_")]):
        raise NotProven(
            "the provider's secret is " + ("wrong" if given else "missing") + ": give it as Authorization: Bearer,"
            " as Basic password, or as ?token="
        )


def bearer_token(post: Post) -> str:
    """The first Bearer token, as latin-1; "" when there is none."""
    for header in post.headers.getlist("authorization"):
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "bearer":
            return str(value.strip(" \t"))
    return ""


def _shared_secrets_in(post: Post) -> Iterator[bytes]:
    for value in post.query.getlist("token"):
        yield value.encode("utf-8", "surrogatepass")
    for header in post.headers.getlist("authorization"):
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "bearer":
            # Not all white space: a UTF-8 secret may end in a byte that latin-1 takes for a space (0x85, 0xA0).
            yield value.strip(" \t").encode("latin-1")
        elif scheme.lower() == "basic":
            with suppress(ValueError):
                _, colon, password = base64.b64decode(value.strip(), validate=True).partition(b":")
                if colon:
                    yield password


def is_standard(headers: Headers) -> bool:
    """Whether the request carries a Standard Webhooks (or Svix) signature, good or bad."""
    return any(f"{prefix}signature" in headers for prefix in _PREFIXES)


def verify_standard(post: Post, secrets: Sequence[str], *, now: datetime) -> str:
    """Standard Webhooks 1.0.0: HMAC-SHA256 (``v1``) and Ed25519 (``v1a``); returns the ``webhook-id``.

    A secret is ``whsec_<base64>``, bare base64, plain text (its UTF-8 bytes, as some providers use it), or
    ``whpk_<base64>``, an Ed25519 public key. Raises NotProven.
    """
    prefix, webhook_id, timestamp, signatures = _standard_head(post, now)
    before_body = b"%b.%b." % (webhook_id.encode("latin-1"), timestamp.encode())
    if not any([_signed_by(secret, before_body, post.body, signatures) for secret in secrets]):
        raise NotProven(f"{prefix}signature does not match any secret of this provider")
    return webhook_id


def verify_standard_head(post: Post, *, now: datetime) -> None:
    """Returns when some body could prove a post with this head. Raises NotProven."""
    prefix, _, _, signatures = _standard_head(post, now)
    lengths = {"v1": 32, "v1a": 64}  # of HMAC-SHA256, and of Ed25519
    if not any(len(one) == length for version, length in lengths.items() for one in _given(signatures, version)):
        raise NotProven(f"{prefix}signature does not match any secret of this provider")


def _standard_head(post: Post, now: datetime) -> tuple[str, str, str, str]:
    """Prefix, id, timestamp and signatures. Raises NotProven."""
    prefix = next((prefix for prefix in _PREFIXES if f"{prefix}signature" in post.headers), _PREFIXES[0])
    webhook_id, timestamp, signatures = (
        post.headers.get(f"{prefix}{name}", "") for name in ("id", "timestamp", "signature")
    )
    # A "." in the id would make id "a", time 1, body "2.x" and id "a.1", time 2, body "x" sign the same bytes.
    if not webhook_id or "." in webhook_id or not _TIMESTAMP.fullmatch(timestamp):
        raise NotProven(f"{prefix}id must be without dots and {prefix}timestamp Unix seconds")
    if abs(int(timestamp) - int(now.timestamp())) > TOLERANCE_SECONDS:
        raise NotProven(f"{prefix}timestamp is more than {TOLERANCE_SECONDS} s away from our clock")
    return prefix, webhook_id, timestamp, signatures


def _signed_by(secret: str, before_body: bytes, body: bytes, signatures: str) -> bool:
    if secret.startswith("whpk_"):
        signed = before_body + body  # Ed25519 reads it twice, so it has no way to take it in pieces
        return any([_ed25519(secret.removeprefix("whpk_"), signed, given) for given in _given(signatures, "v1a")])
    expected = [_hmac_sha256(key, before_body, body) for key in _hmac_keys(secret)]
    return any([same(given, digest) for given in _given(signatures, "v1") for digest in expected])


def _hmac_sha256(key: bytes, *pieces: bytes) -> bytes:
    """Without a copy of the pieces."""
    digest = hmac.new(key, digestmod=hashlib.sha256)
    for piece in pieces:
        digest.update(piece)
    return digest.digest()


def _given(signatures: str, version: str) -> Iterator[bytes]:
    for entry in signatures.split(" "):
        kind, _, text = entry.partition(",")
        if kind == version:
            with suppress(ValueError):  # binascii.Error is one; non-ASCII text gives one
                yield base64.b64decode(text, validate=True)


def _hmac_keys(secret: str) -> Iterator[bytes]:
    """The keys that a secret may mean; all come from the same secret, so accepting either weakens nothing."""
    encoded = secret.removeprefix("whsec_")
    with suppress(ValueError):
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        if len(key) >= _MIN_KEY_BYTES:
            yield key
    yield _bytes(secret)


def _ed25519(public_key: str, signed: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True)).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
