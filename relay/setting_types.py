"""The types of settings: how a variable's text becomes a value, and what is wrong with one that cannot.

No text of a secret is repeated in an error.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from relay import network, redis_url
from relay.address import BadAddress, bare_name, canonical_domain


def _comma_list(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _redis_url(value: SecretStr) -> SecretStr:
    """Whether its options fit together :func:`relay.store.connect` finds. No part of it is repeated."""
    redis_url.parse(value.get_secret_value())
    return value


def _http_url(value: str) -> str:
    if value and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).netloc):
        raise ValueError("must begin with http:// or https:// and name a host")
    return value.rstrip("/")


def _https_url(value: str) -> str:
    """It is asked for as it stands, and nothing else is."""
    parts = urlsplit(value)
    plain = value.isascii() and value.isprintable() and not any(character in value for character in ' \\"<>#')
    if value and not (plain and parts.scheme == "https" and parts.hostname and "@" not in parts.netloc):
        raise ValueError("must begin with https:// and name a host, without a user")
    if value:
        _ = parts.port  # raises for what is none
    return value


def _domains(value: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(canonical_domain(domain) for domain in value)
    except BadAddress as exc:
        raise ValueError(str(exc)) from exc


def _local_parts(value: tuple[str, ...]) -> tuple[str, ...]:
    if wrong := [name for name in value if not name.isprintable() or "@" in name or "+" in name]:
        raise ValueError(f"{wrong[0]!r} is not what stands before the @ of an address, without a +tag")
    return tuple(bare_name(name) for name in value)


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    try:
        network.networks(value)
    except ValueError as exc:
        raise ValueError(f"{exc}: write addresses and networks, such as 10.0.0.0/8") from None
    return value


def _api_key(value: SecretStr) -> SecretStr:
    """It goes into a header. No part of it is repeated."""
    written = value.get_secret_value()
    if not all("!" <= character <= "~" for character in written):
        raise ValueError("must be printable ASCII without spaces, as the provider shows it")
    return value


Port = Annotated[int, Field(ge=0, le=65535)]
Words = Annotated[tuple[str, ...], BeforeValidator(_comma_list)]
ApiKey = Annotated[SecretStr, AfterValidator(_api_key)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_comma_list)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
HttpsUrl = Annotated[str, AfterValidator(_https_url)]
Domains = Annotated[Words, AfterValidator(_domains)]
LocalParts = Annotated[Words, AfterValidator(_local_parts)]
Networks = Annotated[Words, AfterValidator(_networks)]
