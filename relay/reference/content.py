"""What is in a message: relay/api/content.py. Attachments are a noun of their own, so that they are found."""

from __future__ import annotations

from relay.reference.addresses import EMAIL
from relay.reference.messages import ID, MESSAGE
from relay.reference.schemas import number, record, text, texts
from relay.reference.vocabulary import Answer, Example, Noun, Operation, Parameter

_OF = f"user1@mailsac.com/{MESSAGE}"
_PATH = "/api/addresses/{email}/messages/{id}"
_ONE = f"/api/addresses/user1@mailsac.com/messages/{MESSAGE}"
_CHECKSUM = "e1f49f4475c31d27b78ef983a0827a0f"  # of the file in the mail of the examples
_DOWNLOAD = Parameter("download", "query", "`1`: a browser saves it instead of showing it", text(enum=["0", "1"]))
_SAVED = {"Content-Disposition": "with `download=1`: the name to save it under"}


def _form(name: str, title: str, says: str, media_type: str) -> Operation:
    """The whole message in one form."""
    return Operation(
        "GET",
        f"/api/{name}/{{email}}/{{id}}",
        f"getMessage{name.capitalize()}",
        title,
        says,
        (Answer("as it is in the mail", text(), media_types=(media_type,), headers=_SAVED),),
        (EMAIL, ID, _DOWNLOAD),
        errors=(404, 429),
        examples=(Example(name, f"/api/{name}/{_OF}"),),
    )


_HEADERS = Operation(
    "GET",
    f"{_PATH}/headers",
    "getMessageHeaders",
    "Headers",
    "`json`: lower-case name to list of values. `json-ordered`: each with its value, in order. `plain`: as text.",
    (
        Answer(
            "the headers",
            {
                "anyOf": [
                    {"type": "object", "additionalProperties": texts("of the header of that name")},
                    {"type": "array", "items": record({"name": text(), "value": text()})},
                    text("with `plain`"),
                ]
            },
            media_types=("application/json", "text/plain"),
            headers=_SAVED,
        ),
    ),
    (
        EMAIL,
        ID,
        Parameter(
            "messageHeadersFormat",
            "query",
            "the form",
            text(enum=["json", "json-ordered", "plain"], default="json"),
        ),
        _DOWNLOAD,
    ),
    errors=(404, 429),
    examples=(
        Example("json", f"{_ONE}/headers"),
        Example("plain", f"{_ONE}/headers?messageHeadersFormat=plain", "As text"),
    ),
)

_ATTACHMENT = record(
    {
        "checksum": text("MD5 in hex; names it in the path", pattern="^[0-9a-f]{32}$"),
        "contentDisposition": text(),
        "contentId": text('"" when it has none; names it in the path as well'),
        "contentType": text(),
        "fileName": text("made harmless: no path, no control characters"),
        "length": number("bytes", minimum=0),
        "transferEncoding": text(),
    }
)

NOUN = Noun(
    "content",
    "Content of a message",
    "Strangers wrote it: every answer forbids to guess what it is (`nosniff`), and HTML is opened without rights.",
    (
        _form("text", "Plain text", "Made from the HTML when the mail had none.", "text/plain"),
        _form("body", "Safe HTML", "Scripts, images and links are taken out.", "text/html"),
        _form(
            "dirty", "HTML as it was sent", "Attached images are put in. Not safe to show elsewhere.", "text/html"
        ),
        _form(
            "raw",
            "The original message",
            "Byte for byte, where the provider gave it (`rawSynthesized`).",
            "text/plain",
        ),
        _HEADERS,
    ),
)

ATTACHMENTS = Noun(
    "attachments",
    "Attachments",
    "List the files of a message, then download each by its checksum.",
    (
        Operation(
            "GET",
            f"{_PATH}/attachments",
            "listAttachments",
            "List attachments",
            "In the order of the mail; empty when there is none.",
            (Answer("the attachments", {"type": "array", "items": _ATTACHMENT}, headers=_SAVED),),
            (EMAIL, ID, _DOWNLOAD),
            errors=(404, 429),
            examples=(Example("all", f"{_ONE}/attachments"),),
        ),
        Operation(
            "GET",
            f"{_PATH}/attachments/{{attachment}}",
            "downloadAttachment",
            "Download an attachment",
            "Its bytes, for saving only, with its Content-Type where that is well formed.",
            (
                Answer(
                    "the bytes",
                    {},
                    media_types=("*/*",),
                    headers={"Content-Disposition": "its name, made harmless"},
                ),
            ),
            (
                EMAIL,
                ID,
                Parameter("attachment", "path", "`checksum`, `contentId` or `fileName`", text(minLength=1)),
                _DOWNLOAD,
            ),
            errors=(404, 429),
            examples=(Example("file", f"{_ONE}/attachments/{_CHECKSUM}"),),
        ),
    ),
)
