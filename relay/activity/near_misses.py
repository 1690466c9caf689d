"""Addresses that a sender may have meant: the same but for a +tag or dots. Pure.

Only what is safe is looked at: on a shared domain the plain form of the address itself, on the domain of an account the
account's own addresses. So nobody is told of mail for an address that another account has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from relay.address import domain_of


def plain_forms(inbox: str) -> list[str]:
    """Other addresses of the same domain that the mail may have been for; the likeliest first, at most three."""
    local, domain = _local(inbox), domain_of(inbox)
    if local.startswith('"'):
        return []
    untagged = local.partition("+")[0]
    forms = dict.fromkeys((untagged, local.replace(".", ""), untagged.replace(".", "")))
    return [f"{form}@{domain}" for form in forms if form and form != local]


def alike(addresses: Iterable[str]) -> dict[str, list[str]]:
    """An account's addresses by what is left of them without a +tag and dots, for :func:`nearest`."""
    found: dict[str, list[str]] = {}
    for address in addresses:
        found.setdefault(_skeleton(address), []).append(address)
    return found


def nearest(inbox: str, addresses: Mapping[str, list[str]]) -> str:
    """The one of an account's addresses that looks most like ``inbox``, on the same domain: the same name elsewhere is
    as a rule another mailbox. "" when none does, or ``inbox`` is one."""
    domain = domain_of(inbox)
    near = [address for address in addresses.get(_skeleton(inbox), ()) if domain_of(address) == domain]
    if not near or inbox in near:
        return ""
    return min(near, key=lambda address: (len(address), address))


def _skeleton(address: str) -> str:
    local = _local(address)
    return local if local.startswith('"') else local.partition("+")[0].replace(".", "") or local


def _local(address: str) -> str:
    return address.rpartition("@")[0]
