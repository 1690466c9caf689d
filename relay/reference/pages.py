"""The pages for people, and this reference itself: relay/web/, relay/reference/."""

from __future__ import annotations

from relay.reference.schemas import text
from relay.reference.vocabulary import Answer, Noun, Operation, Parameter

_HTML = ("text/html",)
_FILE = {"type": "string", "description": "the file"}
_UNCHANGED = Answer("the browser has it already (`If-None-Match`)", status=304)
_NAME = Parameter("name", "path", "a file of the pages", text(examples=["relay.css"]))


def _page(path: str, operation_id: str, title: str, says: str) -> Operation:
    answers = (Answer("the page", text(), media_types=_HTML), _UNCHANGED)
    return Operation("GET", path, operation_id, title, says, answers, key=False)


def _document(path: str, operation_id: str, title: str, says: str) -> Operation:
    answers = (Answer("the document", {"type": "object"}), _UNCHANGED)
    return Operation("GET", path, operation_id, title, says, answers, key=False)


NOUN = Noun(
    "pages",
    "Pages and documents",
    "For people, without programming; and this reference in the forms that tools read.",
    (
        _page("/", "testPage", "Test page", "Watch mail arrive over a WebSocket."),
        _page("/dashboard", "dashboard", "Dashboard", "Manage addresses, domains and keys; see what happens."),
        _page(
            "/letter",
            "letterFrame",
            "Frame of a mail",
            "Shows the HTML of a mail, without any rights.",
        ),
        _page("/docs", "docs", "Reference", "What you are reading."),
        _document("/openapi.json", "openapi", "OpenAPI 3.1", "Everything that is spoken over HTTP."),
        _document("/asyncapi.json", "asyncapi", "AsyncAPI 3.0", "What is spoken over the WebSocket."),
        Operation(
            "GET",
            "/static/{name}",
            "file",
            "A file of the pages",
            "Style, scripts and pictures.",
            (
                Answer("the file", _FILE, media_types=("text/css", "text/javascript", "image/svg+xml")),
                _UNCHANGED,
                Answer("there is none of that name", text(), 404, ("text/plain",)),
            ),
            (_NAME,),
            key=False,
        ),
    ),
)
