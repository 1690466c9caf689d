"""The domains of the operator on which any account may reserve addresses, and the names there that nobody may have.

Who gets the mail of certain names can have a certificate made for the domain (CA/Browser Forum Baseline Requirements
3.2.2.4.4), and others belong to whoever runs it (RFC 2142). Only the operator's accounts file gives those away.
"""

from __future__ import annotations

from collections.abc import Collection

from relay.address import bare_name, domain_of
from relay.errors import BadRequest

_SHOWN = 5


class SharedDomains:
    """``names`` are canonical; ``reserved_names`` as :func:`relay.address.bare_name` has them."""

    def __init__(self, names: Collection[str], reserved_names: Collection[str] = ()) -> None:
        self._names = frozenset(names)
        self._reserved_names = frozenset(reserved_names)

    def offers(self, address: str) -> bool:
        """Whether any account may reserve the address, if it is free."""
        return domain_of(address) in self._names and bare_name(address) not in self._reserved_names

    def check(self, address: str) -> None:
        """Returns when any account may reserve the address. Raises BadRequest."""
        domain = domain_of(address)
        if domain not in self._names:
            shared = ", ".join(sorted(self._names)[:_SHOWN])
            instead = f", or choose an address on {shared}" if shared else ""
            raise BadRequest(
                f"{address} cannot be reserved: {domain} is neither served here nor verified as yours; add and verify "
                f"it with POST /api/domains/{domain}{instead}"
            )
        if not self.offers(address):
            raise BadRequest(
                f"{address} cannot be reserved: on {domain}, which all accounts share, this name is the operator's"
            )
