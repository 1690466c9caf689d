"""REST: what is in a message: its raw form, headers, bodies and attachments. Paths and shapes are Mailsac's.

All of it was written by strangers. So each answer says what it is and that nobody may guess (nosniff), HTML may do
nothing at all where it is opened (a sandbox without rights), and files are for saving only.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import orjson
from starlette.responses import Response
from starlette.routing import Route

from relay.accounts import Accounts
from relay.address import canonical_address
from relay.api.chunked_response import ChunkedResponse, ResponseMemory
from relay.api.rest import Call, route
from relay.errors import BadRequest, NotFound
from relay.fair import FairQueue
from relay.mailbox import Mailbox
from relay.mime.attachments import Attachment
from relay.rendering import file_names
from relay.rendering.stored_mail import StoredMail

_THREAD_BYTES = 16 * 1024  # a larger message is read in a thread: it could take longer than others may wait
_AT_ONCE = 2  # each takes several times its size, and a thread that posts need too
_OF_ACCOUNT = 1
_NOTHING = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; sandbox"
)
_NAME = r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}"  # RFC 6838 section 4.2
# WHATWG MIME Sniffing section 4.6, and styles: a page with script-src 'self' would run them from here.
_ACTIVE = re.compile(
    r"(?:text|application)/(?:x-)?(?:javascript(?:1\.[0-5])?|ecmascript|jscript|livescript|module)|text/css",
    re.IGNORECASE,
)
_MEDIA_TYPE = re.compile(f"{_NAME}/{_NAME}")
_CHARSET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,39}")
_TEXT = "text/plain; charset=utf-8"
_HTML = "text/html; charset=utf-8"
_JSON = "application/json"
_FORMATS = ("json", "json-ordered", "plain")

Shown = TypeVar("Shown")


class ContentApi:
    """The handlers; each answers as the table in the reference says, or raises RelayError."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._queue = FairQueue(at_once=_AT_ONCE, per_account=_OF_ACCOUNT)
        self._unread = ResponseMemory()

    async def raw(self, call: Call) -> Response:
        raw, charset = await self._of(call, lambda letter: (letter.raw, letter.charset))
        return self._answer(call, raw, f"text/plain; charset={charset}", ".eml")

    async def text(self, call: Call) -> Response:
        return self._answer(call, await self._of(call, lambda letter: letter.text().encode()), _TEXT, ".txt")

    async def body(self, call: Call) -> Response:
        return self._answer(call, await self._of(call, lambda letter: letter.safe_html().encode()), _HTML, ".html")

    async def dirty(self, call: Call) -> Response:
        return self._answer(
            call, await self._of(call, lambda letter: letter.dirty_html().encode()), _HTML, ".html"
        )

    async def headers(self, call: Call) -> Response:
        wanted = call.request.query_params.get("messageHeadersFormat") or "json"
        if wanted not in _FORMATS:
            member = "messageHeadersFormat"
            raise BadRequest(f"{member} is one of {', '.join(_FORMATS)}", member=member)
        content = await self._of(call, lambda letter: _headers(letter, wanted))
        plain = wanted == "plain"
        return self._answer(call, content, _TEXT if plain else _JSON, ".headers.txt" if plain else ".headers.json")

    async def attachments(self, call: Call) -> Response:
        return self._answer(call, await self._of(call, _listed), _JSON, ".attachments.json")

    async def attachment(self, call: Call) -> Response:
        name = call.path("attachment")
        found = await self._of(call, lambda letter: letter.attachment(name))
        if found is None:
            raise NotFound(
                "the message has no such attachment; it is named by checksum (MD5), contentId or fileName, "
                "as its list of attachments has them"
            )
        save = file_names.disposition(found.file_name, fallback=f"attachment-{found.checksum[:8]}")
        return self._pieces(call, found.content, _content_type(found), {"content-disposition": save})

    async def _of(self, call: Call, show: Callable[[StoredMail], Shown]) -> Shown:
        """What ``show`` makes of the message that the path names."""
        _download(call)  # a malformed query is told before anything is read
        self._unread.check(call.account_id)
        email = canonical_address(call.path("email"), member="email")
        message_id = call.path("id")
        async with self._queue.slot(call.account_id, call.gone):  # a message that waited would be held meanwhile
            kept = await self._mailbox.letter(call.account_id, email, message_id)
            if kept.size_bytes <= _THREAD_BYTES:
                return show(StoredMail.read(kept.json()))
            return await asyncio.to_thread(lambda: show(StoredMail.read(kept.json())))

    def _answer(self, call: Call, content: bytes, content_type: str, suffix: str) -> Response:
        """To be looked at, or with ``?download=1`` to be saved."""
        save: dict[str, str] = {}
        if _download(call):
            save["content-disposition"] = file_names.disposition(call.path("id") + suffix, fallback="message")
        return self._pieces(call, content, content_type, save)

    def _pieces(self, call: Call, content: bytes, content_type: str, headers: Mapping[str, str]) -> Response:
        return ChunkedResponse(
            content, content_type, {**_SAFE, **headers}, account_id=call.account_id, unread=self._unread
        )


def routes(accounts: Accounts, mailbox: Mailbox) -> list[Route]:
    """The paths of this noun, for app.py."""
    api, gate = ContentApi(mailbox), accounts.gate
    message = "/api/addresses/{email:email}/messages/{id}"
    return [
        *(
            route(f"/api/{shape}/{{email:email}}/{{id}}", gate, {"GET": handler})
            for shape, handler in (("raw", api.raw), ("text", api.text), ("body", api.body), ("dirty", api.dirty))
        ),
        route(f"{message}/headers", gate, {"GET": api.headers}),
        route(f"{message}/attachments", gate, {"GET": api.attachments}),
        route(f"{message}/attachments/{{attachment:path}}", gate, {"GET": api.attachment}),
    ]


_SAFE = {
    "x-content-type-options": "nosniff",
    "content-security-policy": _NOTHING,
    "cache-control": "private, no-store",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "x-dns-prefetch-control": "off",
}


def _download(call: Call) -> bool:
    asked = call.request.query_params.get("download", "")
    if asked not in ("", "0", "1"):
        raise BadRequest("download is 1 or 0", member="download")
    return asked == "1"


def _headers(letter: StoredMail, wanted: str) -> bytes:
    if wanted == "plain":
        return letter.header_block().encode()
    if wanted == "json-ordered":
        return orjson.dumps([{"name": name, "value": value} for name, value in letter.headers()])
    grouped: dict[str, list[str]] = {}
    for name, value in letter.headers():
        grouped.setdefault(name, []).append(value)
    return orjson.dumps(grouped)


def _listed(letter: StoredMail) -> bytes:
    return orjson.dumps([_as_json(attachment) for attachment in letter.attachments()])


def _as_json(attachment: Attachment) -> dict[str, Any]:
    """Mailsac's attachment object; "" for what the mail does not say."""
    return {
        "checksum": attachment.checksum,
        "contentDisposition": attachment.disposition,
        "contentId": attachment.content_id,
        "contentType": attachment.content_type,
        "fileName": file_names.safe(attachment.file_name),
        "length": len(attachment.content),
        "transferEncoding": attachment.transfer_encoding,
    }


def _content_type(attachment: Attachment) -> str:
    """As claimed, when it is well formed, and nothing that a page of ours could be made to load as its own."""
    kind = attachment.content_type
    if not _MEDIA_TYPE.fullmatch(kind) or _ACTIVE.fullmatch(kind):
        return "application/octet-stream"
    if kind.startswith("text/") and _CHARSET.fullmatch(attachment.charset):
        return f"{kind}; charset={attachment.charset}"
    return kind
