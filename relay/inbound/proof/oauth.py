"""Access tokens of a customer's own OAuth server: JSON Web Tokens that a provider (SendGrid) brings as Bearer.

The provider has them from that server by its client credentials; the keys that sign them are at one URL, which the
operator names (a JWKS, RFC 7517). A good signature says only that the server made the token, and for anybody: many
sign those of all their customers with the same keys. So its issuer counts, and its audience, its subject, or both.

Keys are asked for anew once an hour, and serve for a day should the server be away; a key that nobody knows has them
asked for at once, but not twice within a minute: who asks is not trusted yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from jwt.types import Options

from relay.errors import BadRequest
from relay.inbound.webhook.provider import NotProven, NotReady
from relay.inbound.webhook.values import (
    json_object,
    number,
    objects,
    text,
    whole_text,
)

# A JWKS behind a URL, fetched within so many seconds; None = not here, and now asked for (Fetcher.cached).
KeySets = Callable[[str, float], bytes | None]

_FRESH_SECONDS = 3600.0
_STALE_SECONDS = 24 * 3600.0
_AGAIN_SECONDS = 60.0
_LEEWAY_SECONDS = 60  # their clock and ours
_MAX_TOKEN = 16 * 1024  # characters; real ones have 1,000 to 2,000
_TOKENS_KNOWN = 64  # a provider brings the same one for hours, and reading it takes 0.3 ms
_MAX_KEYS = 32  # of a set; most have two or three
# By the kind of key, so that no key is used in a way that it is not meant for. None takes a shared secret: with one, a
# public key could be given as the secret of HS256.
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_ALGORITHMS = {
    ("RSA", ""): _RSA,
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
_ASYMMETRIC = frozenset(algorithm for some in _ALGORITHMS.values() for algorithm in some)
_PUBLIC_MEMBERS = ("kty", "crv", "n", "e", "x", "y")
# Times are compared below, with the time of the post; the rest too, so that one place says what counts.
_SIGNATURE_ONLY: Options = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
    "enforce_minimum_key_length": True,
}


@dataclass(frozen=True, slots=True)
class TokenServer:
    """Whose tokens count, and which of them. Audience or subject must be named, or none does."""

    jwks_url: str
    issuer: str  # iss, to the letter
    audience: str = ""  # aud, or one of them; "" = any
    subject: str = ""  # sub; "" = any


@dataclass(frozen=True, slots=True)
class _Key:
    """A public key of the set."""

    id: str
    algorithms: tuple[str, ...]
    public: Any = field(hash=False)  # of cryptography


class KeysNotReady(NotReady):
    """The keys, or a newer set of them, are not here yet; they have been asked for."""

    def __init__(self, url: str) -> None:
        """``url`` is the one that the operator named."""
        super().__init__("the keys that prove this token are being fetched; send it again", url)


def verify_token(token: str, server: TokenServer, key_sets: KeySets, *, now: datetime) -> None:
    """Returns when the server has made the token, for us, and it has not expired.

    Raises NotProven, or KeysNotReady: the token may be good.
    """
    kid, algorithm = _header(token)
    candidates = _candidates(kid, algorithm, server, key_sets)
    claims = next((found for key in candidates if (found := _claims(token, key)) is not None), None)
    if claims is None:
        raise NotProven("no key at RELAY_SENDGRID_JWKS_URL has signed the bearer token")
    expires, begins = _seconds(claims.get("exp")), _seconds(claims.get("nbf", 0))
    if expires is None or begins is None or not _is_now(begins, expires, now):
        raise NotProven("the bearer token has expired, never expires, or is not valid yet")
    if not _is_for_us(claims, server):
        raise NotProven(
            "the bearer token is another's: its iss, aud and sub must be RELAY_SENDGRID_OAUTH_ISSUER, _AUDIENCE and"
            " _SUBJECT"
        )


@lru_cache(maxsize=_TOKENS_KNOWN)
def _header(token: str) -> tuple[str, str]:
    """Which key has signed, "" = not said, and how."""
    if len(token) <= _MAX_TOKEN:
        with suppress(jwt.PyJWTError, UnicodeError):
            header = jwt.get_unverified_header(token)
            if (algorithm := whole_text(header, "alg")) in _ASYMMETRIC:
                return whole_text(header, "kid"), algorithm
    raise NotProven(
        "the bearer token is missing, or is no JSON Web Token that a public key proves (RS256, ES256 and the like)"
    )


def _candidates(kid: str, algorithm: str, server: TokenServer, key_sets: KeySets) -> Sequence[_Key]:
    """The keys that may have signed. Raises KeysNotReady."""
    url = server.jwks_url
    jwks = key_sets(url, _FRESH_SECONDS)
    if jwks is None:
        jwks = key_sets(url, _STALE_SECONDS)
    if jwks is not None and not _named(jwks, kid, algorithm):
        jwks = key_sets(url, _AGAIN_SECONDS)
    if jwks is None:
        raise KeysNotReady(url)
    return _named(jwks, kid, algorithm)


def _named(jwks: bytes, kid: str, algorithm: str) -> Sequence[_Key]:
    """A token may leave out which key it is, RFC 7515 section 4.1.4; then all of its kind are tried."""
    return [key for key in _keys(jwks) if algorithm in key.algorithms and kid in ("", key.id)]


@lru_cache(maxsize=8)
def _keys(jwks: bytes) -> tuple[_Key, ...]:
    """The keys of a set that sign; what is none, or symmetric, is left out; of a private one the public half."""
    try:
        listed = objects(json_object(jwks).get("keys"))
    except BadRequest:
        return ()
    return tuple(key for one in listed[:_MAX_KEYS] if (key := _key(one)) is not None)


def _key(one: Mapping[str, Any]) -> _Key | None:
    kind, given = text(one, "kty"), text(one, "alg")
    known = _ALGORITHMS.get((kind, "" if kind == "RSA" else text(one, "crv")), ())
    algorithms = (given,) if given in known else () if given else known
    if not algorithms or one.get("use", "sig") != "sig":
        return None
    public = {name: one[name] for name in _PUBLIC_MEMBERS if isinstance(one.get(name), str)}
    with suppress(jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, OverflowError):
        return _Key(whole_text(one, "kid"), algorithms, jwt.PyJWK(public, algorithms[0]).key)
    return None


@lru_cache(maxsize=_TOKENS_KNOWN)
def _claims(token: str, key: _Key) -> dict[str, Any] | None:
    """What the token says, when that key has signed it."""
    try:
        return jwt.decode(token, key.public, algorithms=key.algorithms, options=_SIGNATURE_ONLY)
    except jwt.PyJWTError:
        return None


def _seconds(value: object) -> float | None:
    return None if isinstance(value, str) else number(value)


def _is_now(begins: float, expires: float, now: datetime) -> bool:
    return begins - _LEEWAY_SECONDS <= now.timestamp() < expires + _LEEWAY_SECONDS


def _is_for_us(claims: Mapping[str, Any], server: TokenServer) -> bool:
    audience = claims.get("aud")
    wanted = [
        (server.audience, audience if isinstance(audience, list) else [audience]),
        (server.subject, [claims.get("sub")]),
    ]
    named = [(value, given) for value, given in wanted if value]
    return claims.get("iss") == server.issuer and bool(named) and all(value in given for value, given in named)
