"""Mail addresses and domains in one canonical form, so that equal mailboxes are equal strings.

Canonical means: lower case throughout (RFC 5321 section 2.4 lets a host treat local parts so, and a listener
must not miss mail over a capital letter), NFC, no needless quotes, and the domain as ASCII A-labels (RFC 5891).
"""

from __future__ import annotations

import re
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

from relay.errors import BadRequest

# dot-atom "@" host name, RFC 5322 section 3.2.3 and RFC 1123 section 2.1: nearly all mail takes this way, in
# a tenth of the library's time. One label is enough ("test@localhost"): the operator says what is served.
_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*"
_PLAIN_ADDRESS = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@({_HOST})")
_PLAIN_HOST = re.compile(_HOST)
_MAX_LOCAL_BYTES = 64  # RFC 5321 section 4.5.3.1.1
_MAX_ADDRESS_BYTES = 254  # RFC 5321 section 4.5.3.1.3 less the angle brackets
_MAX_DOMAIN_BYTES = 253
_KNOWN_CHARACTERS = 320


class BadAddress(BadRequest):
    """The text is not an address, or not a domain; the error's text says why, without the rest of the input."""


def canonical_address(text: str, *, member: str = "") -> str:
    """The canonical form of one address, ``local@domain`` without display name.

    Raises BadAddress, with ``member`` naming where the text stood.
    """
    # What is too long is not worth a place among what is remembered.
    known = _canonical_address if len(text) <= _KNOWN_CHARACTERS else _canonical_address.__wrapped__
    try:
        return known(text)
    except _NotCanonical as exc:
        raise BadAddress(f"{_shortened(text)} is not a mail address: {exc}", member=member) from exc


def canonical_domain(text: str, *, member: str = "") -> str:
    """The canonical form of a domain name, without trailing dot. Raises BadAddress."""
    known = _canonical_domain if len(text) <= _KNOWN_CHARACTERS else _canonical_domain.__wrapped__
    try:
        return known(text)
    except _NotCanonical as exc:
        raise BadAddress(f"{_shortened(text)} is not a domain: {exc}", member=member) from exc


def domain_of(address: str) -> str:
    """The domain of a canonical address."""
    return address.rpartition("@")[2]


def out_of_query(text: str) -> str:
    """An address as a query has it, where "+" means a blank: in one without quotes a blank can only have been a "+"."""
    trimmed = text.strip()
    return trimmed if '"' in trimmed else trimmed.replace(" ", "+")


def bare_name(address: str) -> str:
    """The name before the @ as people mean it: without quotes, +tag and dots, which many servers leave out too."""
    name, at, _ = address.rpartition("@")
    return (name if at else address).strip('"').partition("+")[0].replace(".", "").strip().casefold()


class _NotCanonical(ValueError):
    pass


# Pure, and the same few addresses come again and again.
@lru_cache(maxsize=8192)
def _canonical_address(text: str) -> str:
    lowered = text.strip().lower()
    if plain := _PLAIN_ADDRESS.fullmatch(lowered):
        if len(plain[1]) > _MAX_LOCAL_BYTES or len(lowered) > _MAX_ADDRESS_BYTES:
            raise _NotCanonical("it is too long")
        return lowered
    if len(lowered) > _MAX_ADDRESS_BYTES:  # bounds the work of the library
        raise _NotCanonical("it is too long")
    try:
        valid = validate_email(
            lowered, check_deliverability=False, globally_deliverable=False, allow_quoted_local=True
        )
    except EmailNotValidError as exc:
        raise _NotCanonical(str(exc)) from exc
    canonical = f"{valid.local_part.lower()}@{valid.ascii_domain}"
    # Quotes that are needed count, too: what is stored under a name must be found under it.
    if len(valid.local_part.encode()) > _MAX_LOCAL_BYTES or len(canonical.encode()) > _MAX_ADDRESS_BYTES:
        raise _NotCanonical("it is too long")
    return canonical


@lru_cache(maxsize=1024)
def _canonical_domain(text: str) -> str:
    lowered = text.strip().lower().removesuffix(".")
    if not lowered or len(lowered) > _MAX_DOMAIN_BYTES:
        raise _NotCanonical("it is empty or too long")
    if _PLAIN_HOST.fullmatch(lowered):
        return lowered
    return domain_of(_canonical_address(f"postmaster@{lowered}"))


def _shortened(text: str) -> str:
    """The input as it may stand in an error or a log: short, printable."""
    short = text if len(text) <= 80 else text[:80] + "…"
    return repr(short)
