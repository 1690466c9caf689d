"""Mailsac's own JavaScript client, with nothing but its ``baseURL`` changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.mailsac import Mailsac, client
from tests.harness import (
    ACCOUNT,
    ADDRESS,
    DOMAIN,
    OTHER_ACCOUNT,
    OTHER_ADDRESS,
    OTHER_KEY,
    QUIET_ADDRESS,
    Relay,
)

pytestmark = pytest.mark.anyio

NEW = f"new+tag@{DOMAIN}"
DECLARED = {ADDRESS, "second@mailsac.com", QUIET_ADDRESS}
ADDRESS_MEMBERS = {
    *("_id", "owner", "info", "enablews", "forward", "webhook", "webhookSlack", "webhookSlackToFrom"),
    *("catchAll", "password", "encryptedInbox", "created", "updated"),
}


async def addresses_of(mailsac: Mailsac) -> set[str]:
    status, addresses = await mailsac("addresses.listAddresses")
    assert status == 200
    return {address["_id"] for address in addresses}


async def test_an_address_from_reservation_to_release(relay: Relay, mailsac: Mailsac) -> None:
    free = {"available": True, "email": NEW, "owned": False}
    assert await mailsac("addresses.checkAvailability", NEW) == (200, free)
    status, address = await mailsac("addresses.getAddress", NEW)
    assert (status, address["_id"]) == (200, NEW)
    assert "owner" not in address

    status, address = await mailsac("addresses.createAddress", NEW)
    assert status == 200
    assert address.keys() >= ADDRESS_MEMBERS
    assert (address["_id"], address["owner"], address["enablews"]) == (NEW, ACCOUNT, False)
    assert await mailsac("addresses.getAddress", NEW) == (200, address)
    assert await addresses_of(mailsac) == DECLARED | {NEW}
    taken = {"available": False, "email": NEW, "owned": True}
    assert await mailsac("addresses.checkAvailability", NEW) == (200, taken)

    status, address = await mailsac("addresses.updateAddress", NEW, {"enablews": True, "info": "notiz ß"})
    assert status == 200
    assert (address["enablews"], address["info"]) == (True, "notiz ß")
    assert await mailsac("addresses.getAddress", NEW) == (200, address)
    async with relay.listen(NEW) as socket:
        await relay.send("forwarded", NEW)
        assert await socket.subject() == "forwarded"

    assert (await mailsac("addresses.deleteAddress", NEW, {"deleteAddressMessages": True}))[0] == 200
    assert await addresses_of(mailsac) == DECLARED
    assert await mailsac("addresses.checkAvailability", NEW) == (200, free)


async def test_reserving_with_settings_forwards_at_once(relay: Relay, mailsac: Mailsac) -> None:
    status, address = await mailsac("addresses.createAddress", NEW, {"enablews": True, "info": "for tests"})
    assert (status, address["enablews"], address["info"]) == (200, True, "for tests")
    async with relay.listen(NEW) as socket:
        await relay.send("forwarded", NEW)
        assert await socket.subject() == "forwarded"


async def test_many_addresses_at_once(mailsac: Mailsac) -> None:
    wanted = [f"n{number}@{DOMAIN}" for number in range(100)]
    status, addresses = await mailsac("addresses.createAddresses", {"addresses": wanted})
    assert status == 200
    assert [address["_id"] for address in addresses] == wanted
    assert {address["owner"] for address in addresses} == {ACCOUNT}
    assert await addresses_of(mailsac) == DECLARED | set(wanted)


async def test_domains(mailsac: Mailsac) -> None:
    status, [domain] = await mailsac("domains.listDomains")
    assert status == 200
    assert (domain["_id"], domain["owner"], domain["verified"]) == (DOMAIN, ACCOUNT, True)
    assert await mailsac("domains.getDomain", DOMAIN) == (200, {"domain": domain})


async def test_what_cannot_be_is_400(mailsac: Mailsac) -> None:
    assert await mailsac.refused("addresses.createAddress", ADDRESS) == 400
    assert await mailsac.refused("addresses.deleteAddress", NEW) == 400
    assert await mailsac.refused("addresses.updateAddress", NEW, {"enablews": True}) == 400
    assert await mailsac.refused("addresses.createAddress", "no address") == 400
    assert await mailsac.refused("addresses.createAddresses", {"addresses": [NEW, ADDRESS]}) == 400
    assert await addresses_of(mailsac) == DECLARED


async def test_no_credits_left_is_400(relay: Relay, node_folder: Path) -> None:
    await relay.process.service.accounts.accounts.put(OTHER_ACCOUNT, address_credits=2)
    first, second = "first@mailsac.com", "another@mailsac.com"
    async with client(relay, node_folder, OTHER_KEY) as poor:
        assert await poor.refused("addresses.createAddresses", {"addresses": [first, second]}) == 400
        assert await addresses_of(poor) == {OTHER_ADDRESS}
        assert (await poor("addresses.createAddress", first))[0] == 200
        assert await poor.refused("addresses.createAddress", second) == 400
        assert await addresses_of(poor) == {OTHER_ADDRESS, first}


async def test_another_accounts_is_401(relay: Relay, mailsac: Mailsac, node_folder: Path) -> None:
    assert await mailsac.refused("addresses.getAddress", OTHER_ADDRESS) == 401
    assert await mailsac.refused("addresses.createAddress", OTHER_ADDRESS) == 401
    assert await mailsac.refused("addresses.updateAddress", OTHER_ADDRESS, {"enablews": False}) == 401
    assert await mailsac.refused("addresses.deleteAddress", OTHER_ADDRESS) == 401
    taken = {"available": False, "email": OTHER_ADDRESS, "owned": True}
    assert await mailsac("addresses.checkAvailability", OTHER_ADDRESS) == (200, taken)
    async with client(relay, node_folder, OTHER_KEY) as other:
        status, address = await other("addresses.getAddress", OTHER_ADDRESS)
        assert (status, address["enablews"]) == (200, True)


async def test_a_wrong_key_is_401(relay: Relay, node_folder: Path) -> None:
    async with client(relay, node_folder, "wrong") as stranger:
        assert await stranger.refused("addresses.listAddresses") == 401
        assert await stranger.refused("addresses.getAddress", NEW) == 401
        assert await stranger.refused("addresses.createAddress", NEW) == 401
        assert await stranger.refused("addresses.updateAddress", ADDRESS, {"enablews": False}) == 401
        assert await stranger.refused("addresses.deleteAddress", ADDRESS) == 401
        assert await stranger.refused("addresses.checkAvailability", NEW) == 401
        assert await stranger.refused("addresses.createAddresses", {"addresses": [NEW]}) == 401
        assert await stranger.refused("domains.listDomains") == 401
        assert await stranger.refused("domains.getDomain", DOMAIN) == 401
