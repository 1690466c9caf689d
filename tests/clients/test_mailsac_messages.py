"""Mailsac's own JavaScript client: messages, and the account."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.clients.mailsac import Mailsac, client
from tests.harness import ACCOUNT, ADDRESS, DOMAIN, MAIL, OTHER_ADDRESS, OTHER_KEY, Relay

pytestmark = pytest.mark.anyio

IN_DOMAIN = f"any@{DOMAIN}"
# Of the client's EmailMessageShort, and the id.
SHORT = {
    *("_id", "inbox", "to", "from", "subject", "originalInbox", "size", "attachments", "received", "bcc", "cc"),
    *("domain", "folder", "ip", "labels", "links", "read", "rtls", "savedBy", "spam", "via"),
}


async def subjects(mailsac: Mailsac, method: str, *arguments: Any) -> list[str]:
    status, data = await mailsac(method, *arguments)
    assert status == 200, data
    messages = data if isinstance(data, list) else data["messages"]
    assert all(message.keys() == SHORT for message in messages)
    return [message["subject"] for message in messages]


async def test_lists_and_one_message(relay: Relay, mailsac: Mailsac) -> None:
    await relay.post(MAIL, ADDRESS)
    await relay.send("second")
    await relay.send("third", IN_DOMAIN)
    assert await subjects(mailsac, "messages.listMessages", ADDRESS) == ["second", "Hello"]
    assert await subjects(mailsac, "messages.listMessages", ADDRESS, {"limit": 1}) == ["second"]
    assert await subjects(mailsac, "messages.listMessages", ADDRESS, {"until": "2001-01-01"}) == []
    assert await subjects(mailsac, "messages.listDomainMessages", DOMAIN, {"limit": 5}) == ["third"]
    assert await mailsac("messages.countMessages", ADDRESS) == (200, {"count": 2, "inbox": ADDRESS})
    _, [_, first] = await mailsac("messages.listMessages", ADDRESS)
    assert await mailsac("messages.getMessageMetadata", ADDRESS, first["_id"]) == (200, first)
    assert first["from"] == [{"address": "ann@sender.test", "name": "Ann"}]
    status, inbox = await mailsac("messages.listInboxMessages", {"limit": 2, "skip": 1, "since": "2001-01-01"})
    assert (status, inbox["unread"], inbox["limit"], inbox["skip"]) == (200, 3, 2, 1)
    assert len(inbox["messages"]) == 2
    assert await subjects(mailsac, "messages.searchInboxMessages", {"query": "hello"}) == ["Hello"]
    assert await subjects(mailsac, "messages.filterInboxMessages", {"andFrom": "ann@", "andTo": ADDRESS}) == [
        "Hello"
    ]
    assert await mailsac.refused("messages.filterInboxMessages", {}) == 400


async def test_what_is_set_on_a_message(relay: Relay, mailsac: Mailsac) -> None:
    which = ADDRESS, await relay.send("first")
    status, starred = await mailsac("messages.toggleMessageStar", *which)
    assert (status, starred.keys(), starred["savedBy"]) == (200, SHORT, ACCOUNT)
    assert await subjects(mailsac, "messages.listStarredMessages") == ["first"]
    label = "business%20archive"  # the client encodes nothing
    for method, *more, member in (
        ("setMessageReadStatus", True, {"read": True}),
        ("setMessageFolder", "spam", {"folder": "spam"}),
        ("addMessageLabel", label, {"labels": ["business archive"]}),
        ("addMessageLabel", label, {"labels": ["business archive"]}),
    ):
        assert await mailsac(f"messages.{method}", *which, *more) == (200, {"_id": which[1], **member})
    _, message = await mailsac("messages.getMessageMetadata", *which)
    assert (message["read"], message["folder"], message["labels"]) == (True, "spam", ["business archive"])
    assert await mailsac("messages.deleteMessageLabel", *which, label) == (200, {"_id": which[1], "labels": []})
    _, unstarred = await mailsac("messages.toggleMessageStar", *which)
    assert unstarred["savedBy"] is None
    assert await mailsac.refused("messages.setMessageFolder", *which, "new") == 400


async def test_deleting(relay: Relay, mailsac: Mailsac) -> None:
    first, second = await relay.send("first"), await relay.send("second")
    gone = {"_id": first, "inbox": ADDRESS, "message": "Message was deleted."}
    assert await mailsac("messages.deleteMessage", ADDRESS, first) == (200, gone)
    assert await mailsac.refused("messages.deleteMessage", ADDRESS, first) == 404
    assert await mailsac.refused("messages.getMessageMetadata", ADDRESS, first) == 404
    await mailsac("messages.toggleMessageStar", ADDRESS, second)
    await relay.send("third")
    assert (await mailsac("messages.deleteAllMessages", ADDRESS))[0] == 204
    assert await subjects(mailsac, "messages.listMessages", ADDRESS) == ["second"]
    await relay.send("fourth", IN_DOMAIN)
    assert (await mailsac("messages.deleteAllDomainMessages", DOMAIN))[0] == 204
    assert await subjects(mailsac, "messages.listDomainMessages", DOMAIN) == []
    status, _ = await mailsac("addresses.deleteAddress", ADDRESS, {"deleteAddressMessages": True})
    assert status == 200
    assert await mailsac.refused("messages.listMessages", ADDRESS) == 401


async def test_the_account(relay: Relay, mailsac: Mailsac) -> None:
    await relay.send("first")
    status, me = await mailsac("account.user")
    assert (status, me["_id"], me["privateAddressCredits"]) == (200, ACCOUNT, 997)
    status, stats = await mailsac("account.accountStats")
    assert (status, stats["storedMessages"], stats["starredMessages"], stats["domains"]) == (200, 1, 0, [DOMAIN])


async def test_another_accounts_is_401(relay: Relay, mailsac: Mailsac, node_folder: Path) -> None:
    which = OTHER_ADDRESS, await relay.send("other", OTHER_ADDRESS)
    for method, *arguments in (
        ("listMessages", OTHER_ADDRESS),
        ("countMessages", OTHER_ADDRESS),
        ("deleteAllMessages", OTHER_ADDRESS),
        ("listDomainMessages", "other.example"),
        ("deleteAllDomainMessages", "other.example"),
        ("getMessageMetadata", *which),
        ("deleteMessage", *which),
        ("toggleMessageStar", *which),
        ("setMessageReadStatus", *which, True),
        ("setMessageFolder", *which, "spam"),
        ("addMessageLabel", *which, "x"),
        ("deleteMessageLabel", *which, "x"),
    ):
        assert await mailsac.refused(f"messages.{method}", *arguments) == 401, method
    async with client(relay, node_folder, OTHER_KEY) as other:
        assert await subjects(other, "messages.listMessages", OTHER_ADDRESS) == ["other"]
