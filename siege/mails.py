"""Hostile mails of any size: each is worth nothing to read, and was dear to read once.

Comments say what 25 MB cost: memory of a process that read one, and seconds of CPU.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from itertools import pairwise
from types import MappingProxyType

_HEAD = b"From: Ann <ann@sender.test>\r\nTo: user1@mailsac.com\r\nSubject: siege\r\n"
_NESTED = 32


def _filled(head: bytes, unit: bytes, size_bytes: int, tail: bytes = b"") -> bytes:
    return head + unit * max((size_bytes - len(head) - len(tail)) // len(unit), 0) + tail


def _body(content_type: str, unit: bytes, encoding: str = "8bit") -> Callable[[int], bytes]:
    head = _HEAD + f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()
    return lambda size_bytes: _filled(head, unit, size_bytes)


def _folded(unit: bytes, name: bytes = b"X-Long") -> Callable[[int], bytes]:
    return lambda size_bytes: _filled(_HEAD + name + b": a", unit, size_bytes, b"\r\n\r\nbody\r\n")


def _uuencoded(unit: bytes) -> Callable[[int], bytes]:
    head = _HEAD + b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 a\r\n"
    return lambda size_bytes: _filled(head, unit, size_bytes, b"\r\nend\r\n")


def nested(size_bytes: int) -> bytes:
    """Multiparts in each other. A boundary begins with that of the multipart around it; the lines are of neither."""
    boundaries = ["b" * (level + 1) for level in range(_NESTED)]
    head = _HEAD + f'Content-Type: multipart/mixed; boundary="{boundaries[0]}"\r\n\r\n'.encode()
    for outer, inner in pairwise(boundaries):
        head += f'--{outer}\r\nContent-Type: multipart/mixed; boundary="{inner}"\r\n\r\n'.encode()
    return _filled(head, b"--" + b"b" * (_NESTED + 1) + b"\n", size_bytes)


def addressed(size_bytes: int) -> bytes:
    """More recipients in To than are read."""
    return _filled(_HEAD[:-2] + b"\r\nTo: z@example.com", b",\r\n a@example.com", size_bytes, b"\r\n\r\nbody\r\n")


def parts(size_bytes: int) -> bytes:
    """More parts than are read."""
    head = _HEAD + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    return _filled(head, b"--b\r\nContent-Disposition: attachment\r\n\r\nx\r\n", size_bytes, b"--b--\r\n")


def ordinary(size_bytes: int) -> bytes:
    """A text and a file, as people send it."""
    head = (
        _HEAD
        + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n'
        b"--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: attachment; filename="a.pdf"\r\n\r\n'
    )
    file = base64.encodebytes(hashlib.shake_128(b"siege").digest(size_bytes * 3 // 4)).replace(b"\n", b"\r\n")
    return head + file[: size_bytes - len(head) - 10] + b"\r\n--b--\r\n"


# Name -> a mail of about so many bytes.
MAILS: Mapping[str, Callable[[int], bytes]] = MappingProxyType(
    {
        "ordinary": ordinary,
        "one letter": _body("text/plain", b"x"),
        "text": _body("text/plain", b"hello you all, how are you today?\r\n"),
        "Latin-1 as UTF-8": _body("text/plain; charset=utf-8", b"\xe9 "),  # 1,242 MB, 2.0 s
        "French as UTF-8": _body(  # 582 MB, 0.9 s
            "text/plain; charset=utf-8", "Voilà l'été, déjà passé à Orléans.\r\n".encode("latin-1")
        ),
        "French": _body("text/plain; charset=iso-8859-1", "Voilà l'été, déjà passé.\r\n".encode("latin-1")),
        "quoted-printable": _body("text/plain; charset=utf-8", b"=C3=A9=20", "quoted-printable"),
        "blanks": _body("text/plain", b" \t", "quoted-printable"),
        "one wide character": lambda size_bytes: _filled(
            _HEAD + b"Content-Type: text/plain; charset=utf-8\r\n\r\n", b"hello\r\n", size_bytes, "𝄞".encode()
        ),
        "wide characters": _body("text/plain; charset=utf-8", "𝄞é".encode()),
        "bytes of no charset": _body("text/plain; charset=gb18030", b"\xff\xfea"),
        "UTF-16 of half characters": _body("text/plain; charset=utf-16", b"\xd8\x00\x00a"),
        "escapes of ISO-2022": _body("text/plain; charset=iso-2022-jp", b"\x1b$B\x1b(B"),
        "folded header": _folded(b"\r\n b"),  # 1,164 MB, 4.2 s
        "folded by LF": _folded(b"\n b"),
        "folded subject": _folded(b"\r\n =?utf-8?q?=C3=A9?=", b"Subject"),
        "header lines": lambda size_bytes: _filled(_HEAD, b"a:b\r\n", size_bytes, b"\r\nbody\r\n"),
        "no header lines": lambda size_bytes: _filled(_HEAD, b"a\r\nb:\r\n", size_bytes, b"\r\nbody\r\n"),
        "uuencoded !!": _uuencoded(b"!!\n"),  # 1,256 MB
        "uuencoded empty lines": _uuencoded(b"\n"),  # 2,280 MB
        "uuencoded two characters": _uuencoded(b"#a\n"),  # 6.5 s
        "base64 of blanks": _body("application/x", b"QQ \r\n", "base64"),
        "nested": nested,  # 9.1 s
        "parts": parts,
        "recipients": addressed,
        "http://": _body("text/plain", b"http://"),  # 5.8 s
        "links": _body("text/plain", b"http://a "),
        "HTML links": _body("text/html", b'<a href="http://a">'),
        "HTML tags": _body("text/html", b"<b>"),
        "control characters": _body("text/plain", b"\x01"),
    }
)
