"""REST: the messages of one inbox. Paths, members and statuses are Mailsac's, so that its clients work here."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from relay.accounts import Accounts
from relay.address import canonical_address
from relay.api import listing
from relay.api.rest import Call, Json, route
from relay.api.wait import WaitApi
from relay.errors import BadRequest
from relay.fair import FairQueue
from relay.mailbox import Mailbox

FOLDERS = ("inbox", "all", "spam", "trash")
LABEL_LIMIT = 100  # characters
_AT_ONCE = 2  # questions about one message: of a large one, each takes Redis as long as some hundred others
_OF_ACCOUNT = 1
_READ = {"true": True, "false": False}


class MessageApi:
    """The handlers; each answers as the table in the reference says, or raises RelayError."""

    def __init__(self, mailbox: Mailbox, waits: WaitApi) -> None:
        self._mailbox = mailbox
        self._waits = waits

    async def list(self, call: Call) -> Response:
        if self._waits.is_meant(call):
            return await self._waits.wait(call)
        limits = {"limit": listing.limit(call), "skip": listing.skip(call)}
        wanted, before = listing.until(call), listing.before(call)
        found = await self._mailbox.list(call.account_id, _email(call), wanted=wanted, before=before, **limits)
        return listing.answer(listing.shown(found), found)

    async def list_starred(self, call: Call) -> Response:
        found = await self._mailbox.list_starred(call.account_id, limit=listing.MOST)
        return listing.answer(listing.shown(found), found)

    async def count(self, call: Call) -> Response:
        email = _email(call)
        return Json({"count": (await self._mailbox.count(call.account_id, email)).messages, "inbox": email})

    async def get(self, call: Call) -> Response:
        return Json((await self._mailbox.entry(*_message(call))).members)

    async def delete(self, call: Call) -> Response:
        account_id, email, message_id = _message(call)
        await self._mailbox.changes.delete(account_id, email, message_id)
        return Json({"_id": message_id, "inbox": email, "message": "Message was deleted."})

    async def delete_all(self, call: Call) -> Response:
        await self._mailbox.changes.delete_all(call.account_id, _email(call))
        return Response(status_code=204)

    async def star(self, call: Call) -> Response:
        # What is answered is read before: the last star of a message whose letter is gone takes the message along.
        entry = await self._mailbox.entry(*_message(call))
        starred = await self._mailbox.stars.toggle(*_message(call))
        return Json(entry.members | {"savedBy": call.account_id if starred else None})

    async def read(self, call: Call) -> Response:
        word = call.path("read")
        if word not in _READ:
            raise BadRequest('the last part of the path is "true" or "false"', member="readBoolean")
        flags = await self._mailbox.changes.set_read(*_message(call), read=_READ[word])
        return Json({"_id": call.path("id"), "read": flags.read})

    async def move(self, call: Call) -> Response:
        folder = call.path("folder")
        if folder not in FOLDERS:
            raise BadRequest(f"folder is one of {', '.join(FOLDERS)}; use labels beside", member="folder")
        flags = await self._mailbox.changes.set_folder(*_message(call), folder)
        return Json({"_id": call.path("id"), "folder": flags.folder})

    async def add_label(self, call: Call) -> Response:
        flags = await self._mailbox.changes.add_label(*_message(call), _label(call))
        return Json({"_id": call.path("id"), "labels": flags.labels})

    async def drop_label(self, call: Call) -> Response:
        flags = await self._mailbox.changes.drop_label(*_message(call), _label(call))
        return Json({"_id": call.path("id"), "labels": flags.labels})


def routes(accounts: Accounts, mailbox: Mailbox, waits: WaitApi, wide: FairQueue) -> list[Route]:
    """The paths of this noun, for app.py; after those of addresses, which say what an ``email`` in a path is."""
    api, gate = MessageApi(mailbox, waits), accounts.gate
    single = FairQueue(at_once=_AT_ONCE, per_account=_OF_ACCOUNT)
    inbox = "/api/addresses/{email:email}"
    one = f"{inbox}/messages/{{id}}"
    return [
        route("/api/addresses/starred/messages", gate, {"GET": api.list_starred}, queue=wide),
        route(f"{inbox}/message-count", gate, {"GET": api.count}),
        route(f"{inbox}/messages", gate, {"GET": api.list, "DELETE": api.delete_all}),
        route(one, gate, {"GET": api.get, "DELETE": api.delete}, queue=single),
        route(f"{one}/star", gate, {"PUT": api.star}, queue=single),
        route(f"{one}/read/{{read}}", gate, {"PUT": api.read}, queue=single),
        route(f"{one}/folder/{{folder}}", gate, {"PUT": api.move}, queue=single),
        route(
            f"{one}/labels/{{label:path}}", gate, {"PUT": api.add_label, "DELETE": api.drop_label}, queue=single
        ),
    ]


def _email(call: Call) -> str:
    return canonical_address(call.path("email"), member="email")


def _message(call: Call) -> tuple[str, str, str]:
    """Who asks for which message of which inbox."""
    return call.account_id, _email(call), call.path("id")


def _label(call: Call) -> str:
    label = call.path("label").strip()
    if not label or not label.isprintable() or len(label) > LABEL_LIMIT:
        raise BadRequest(f"a label is 1 to {LABEL_LIMIT} printable characters", member="label")
    return label
