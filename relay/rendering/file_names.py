"""A file name that a stranger wrote -> one that is safe to save under, and to say in a header (RFC 6266, RFC 8187)."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

MAX_BYTES = 150  # of UTF-8; file systems take 255, and whoever saves it adds " (1)"
_MAX_SUFFIX_BYTES = 16
_READ = 4096  # characters looked at, from the end
# Cc and Cf: control characters, and those that turn the direction of text, so that "exe.txt" is an .exe. Cs, Co, Cn:
# what has no meaning. Zl and Zp: line ends.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_FORBIDDEN = re.compile(r'[<>:"|?*%;]')  # on Windows, and what some browsers decode or cut at
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|\Z)", re.IGNORECASE)


def safe(name: str) -> str:
    """One component of a path, printable, at most ``MAX_BYTES`` of UTF-8, its suffix kept; "" when nothing is left."""
    name = re.split(r"[/\\]", name[-_READ:])[-1]
    name = unicodedata.normalize("NFC", name)
    name = "".join(character for character in name if unicodedata.category(character) not in _UNSEEN)
    name = _FORBIDDEN.sub("_", name).strip(". ")
    if _DEVICES.match(name):
        name = f"_{name}"
    return _short(" ".join(name.split()))


def disposition(name: str, *, fallback: str) -> str:
    """Content-Disposition for saving under ``name`` made safe, or under ``fallback``, which is plain ASCII."""
    name = safe(name) or fallback
    # What only old clients read; the other parameter wins, RFC 6266 section 4.3.
    plain = name.encode("ascii", "replace").decode("ascii").replace("?", "_")
    encoded = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'attachment; filename="{plain}"{encoded}'


def _short(name: str) -> str:
    if len(name.encode()) <= MAX_BYTES:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix.encode()) > _MAX_SUFFIX_BYTES:
        stem, dot, suffix = name, "", ""
    room = MAX_BYTES - len(f"{dot}{suffix}".encode())
    return stem.encode()[:room].decode("utf-8", "ignore").rstrip(". ") + dot + suffix
