"""The short fields of a form, found without reading the rest: what proves a post stands beside mail of many megabytes.

Reading a whole form takes several times its size, and whoever sent it need not be a provider. Here nothing is copied
but the fields that are asked for; what is longer than a proof can be is none.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import pairwise

from python_multipart.multipart import parse_options_header

from relay.inbound.webhook.form import MAX_FIELDS, unquote_carefully

_MAX_VALUE_BYTES = 1024
_MAX_HEAD_BYTES = 1024  # of one part
# One search holds the interpreter; a millisecond for so many bytes.
_SEARCHED_AT_ONCE_BYTES = 4 * 1024 * 1024
_NAME = re.compile(rb'\r\ncontent-disposition:[^\r\n]*?[;\s]name=(?:"([^"\r\n]*)"|([^;\s]+))', re.IGNORECASE)


def find_short(content_type: str, body: bytes, names: Collection[str]) -> dict[str, str]:
    """The last value of each name that is there, as UTF-8 and trimmed; {} for what is no form. Total.

    Names are found as providers write them: a name with escapes is another one.
    """
    media_type, options = parse_options_header(content_type.encode("latin-1", "replace"))
    found: dict[str, bytes] = {}
    if media_type == b"application/x-www-form-urlencoded":
        found = {name: value for name in names if (value := _last_pair(body, name.encode())) is not None}
    elif media_type == b"multipart/form-data" and 0 < len(boundary := options.get(b"boundary", b"")) <= 200:
        found = {name: value for name, value in _parts(body, b"--" + boundary) if name in names}
    return {name: value.decode("utf-8", "replace").strip() for name, value in found.items()}


def _last_pair(body: bytes, name: bytes) -> bytes | None:
    """Of an urlencoded form."""
    at = _last(body, b"&" + name + b"=")
    if at < 0:
        if not body.startswith(name + b"="):
            return None
        at = -1  # as if an "&" stood before it
    start = at + len(name) + 2
    value = body[start : start + _MAX_VALUE_BYTES + 1].partition(b"&")[0]
    return unquote_carefully(value) if len(value) <= _MAX_VALUE_BYTES else b""


def _last(body: bytes, wanted: bytes) -> int:
    """As ``bytes.rfind``."""
    end = len(body)
    while end > 0:
        start = max(end - _SEARCHED_AT_ONCE_BYTES, 0)
        if (at := body.rfind(wanted, start, end)) >= 0:
            return at
        if start == 0:
            return -1
        end = start + len(wanted) - 1  # it may lie across
    return -1


def _first(body: bytes, wanted: bytes, start: int) -> int:
    """As ``bytes.find``."""
    while start < len(body):
        if (at := body.find(wanted, start, start + _SEARCHED_AT_ONCE_BYTES)) >= 0:
            return at
        start += _SEARCHED_AT_ONCE_BYTES - len(wanted) + 1
    return -1


def _parts(body: bytes, delimiter: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and value of the short parts of a multipart form; nothing of one that has too many, or no end."""
    starts: list[int] = []
    at = 0 if body.startswith(delimiter) else _first(body, b"\r\n" + delimiter, 0)
    while at >= 0:
        if len(starts) > MAX_FIELDS:
            return
        starts.append(at)
        at = _first(body, b"\r\n" + delimiter, at + 1)
    if not starts or not body.startswith(b"--", starts[-1] + len(delimiter) + (2 if starts[-1] else 0)):
        return
    for start, end in pairwise(starts):
        head, separator, _ = body[start : min(start + _MAX_HEAD_BYTES, end)].partition(b"\r\n\r\n")
        value_start = start + len(head) + len(separator)
        named = _NAME.search(head)
        if separator and named and end - value_start <= _MAX_VALUE_BYTES:
            yield (named[1] or named[2] or b"").decode("utf-8", "replace"), body[value_start:end]
