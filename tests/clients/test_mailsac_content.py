"""What is in a message, read with Mailsac's own JavaScript client."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.test_content import HTML, MAIL, PDF, PNG, md5, received
from tests.clients.mailsac import Mailsac, client
from tests.harness import ADDRESS, OTHER_ADDRESS, OTHER_KEY, Relay

pytestmark = pytest.mark.anyio

BYTES = {"format": "arraybuffer"}  # as a program asks that wants more than text
ATTACHMENT_MEMBERS = {
    *("checksum", "contentDisposition", "contentId", "contentType", "fileName", "length", "transferEncoding")
}


async def read(mailsac: Mailsac, method: str, *arguments: object) -> bytes:
    """The bytes of an answer."""
    status, data = await mailsac(method, *arguments, BYTES)
    assert status == 200
    return bytes(data["data"])


async def test_the_bodies(relay: Relay, mailsac: Mailsac) -> None:
    message_id = await received(relay, MAIL)
    assert await mailsac("messages.getBodyPlainText", ADDRESS, message_id) == (200, "Hi there\n")
    status, body = await mailsac("messages.getBodySanitized", ADDRESS, message_id)
    assert (status, '<p style="color:red">Hi there</p>' in body, "<img" in body) == (200, True, False)
    status, dirty = await mailsac("messages.getBodyDirty", ADDRESS, message_id, {"download": 1})
    assert (status, HTML[:40] in dirty, "data:image/png;base64," in dirty) == (200, True, True)
    assert await mailsac("messages.getFullRawMessage", ADDRESS, message_id) == (200, MAIL.decode())
    assert await read(mailsac, "messages.getFullRawMessage", ADDRESS, message_id, {"download": 1}) == MAIL


async def test_the_headers(relay: Relay, mailsac: Mailsac) -> None:
    message_id = await received(relay, MAIL)
    status, grouped = await mailsac("messages.getHeaders", ADDRESS, message_id)
    assert (status, grouped["received"]) == (200, ["from a by b", "from c"])
    status, ordered = await mailsac(
        "messages.getHeaders", ADDRESS, message_id, {"messageHeadersFormat": "json-ordered"}
    )
    assert (status, ordered[0]) == (200, {"name": "received", "value": "from a by b"})
    status, plain = await mailsac("messages.getHeaders", ADDRESS, message_id, {"messageHeadersFormat": "plain"})
    assert (status, plain.splitlines()[0]) == (200, "Received: from a")


async def test_the_attachments(relay: Relay, mailsac: Mailsac) -> None:
    message_id = await received(relay, MAIL)
    status, listed = await mailsac("attachments.listMessageAttachments", ADDRESS, message_id)
    assert status == 200
    assert [one["checksum"] for one in listed] == [md5(PNG), md5(PDF)]
    assert all(one.keys() == ATTACHMENT_MEMBERS for one in listed)
    download = "attachments.downloadAttachment"
    for name, content in ((md5(PDF), PDF), ("a b.pdf", PDF), (md5(PNG), PNG), (listed[0]["contentId"], PNG)):
        assert await read(mailsac, download, ADDRESS, message_id, name) == content
    assert await mailsac.refused(download, ADDRESS, message_id, md5(b"another")) == 404


async def test_what_is_anothers_is_401(relay: Relay, node_folder: Path) -> None:
    message_id = await received(relay, MAIL)
    async with client(relay, node_folder, OTHER_KEY) as other:
        for method in ("getBodyPlainText", "getBodySanitized", "getBodyDirty", "getFullRawMessage", "getHeaders"):
            assert await other.refused(f"messages.{method}", ADDRESS, message_id) == 401
            assert await other.refused(f"messages.{method}", OTHER_ADDRESS, message_id) == 404
        assert await other.refused("attachments.listMessageAttachments", ADDRESS, message_id) == 401
        assert await other.refused("attachments.downloadAttachment", ADDRESS, message_id, md5(PDF)) == 401
