"""The one-time code in the text of a mail: what a person would copy into the form."""

from __future__ import annotations

import re
from bisect import bisect_left

_CHARACTERS = 100_000  # of the text; a code stands near its top
_REACH = 120  # characters between a code and the word that makes it one
_AFTER = 20  # "123456 is your code" counts as so much farther away than "your code: 123456"

# Said in the languages that such mails most often come in; a word ending counts as well ("Bestätigungscode").
_WORDS = re.compile(
    r"code|c[oó]dig|codice|kode|otp\b|pin\b|passcode|one.time|einmal|usage unique|verif|bestätig|confirm|token"
    r"|код|验证码|驗證碼|認証|인증",
    re.IGNORECASE,
)
# Digits, in one or two groups or one by one, or capitals and digits. Not a part of a number, an amount, a date, an URL
# or a word.
_CODE = re.compile(
    r"(?<![\w.,:/@#=&?%+$€£-])(?:[A-Z]-)?"
    r"([0-9]{4,10}|[0-9]{3}[ -][0-9]{3}|(?<![0-9][ \u00a0])[0-9](?:[ \u00a0][0-9]){3,9}(?![ \u00a0][0-9])"
    r"|(?=[A-Z-]{0,9}[0-9])(?=[0-9-]{0,9}[A-Z])[A-Z0-9]{3,10}(?:-[A-Z0-9]{3,10})?)"
    r"(?![\w/@=&?%$€£-]|[.,:][\w])"
)
_YEAR = re.compile(r"(?:19|20)[0-9]{2}")


def code_in(text: str) -> str | None:
    """The code that stands nearest to a word such as "code" or "PIN", else one that has a line of its own; None = there
    is none. Digits in two groups or one by one come without what parts them; so does Google's "G-"."""
    text = text[:_CHARACTERS]
    words = [found.span() for found in _WORDS.finditer(text)]
    starts = [start for start, _ in words]
    best: tuple[int, str] | None = None
    for found in _CODE.finditer(text):
        distance = _distance(found.span(1), words, starts)
        if distance is None and not _alone(text, found.span()):
            continue
        if _YEAR.fullmatch(found[1]) and (distance is None or distance > 3):  # "code: 2023" it may be
            continue
        ranked = (_REACH * 2 if distance is None else distance, _plain(found[1]))
        best = min(best or ranked, ranked, key=lambda one: one[0])
    return best[1] if best else None


def _distance(code: tuple[int, int], words: list[tuple[int, int]], starts: list[int]) -> int | None:
    """Characters to the nearest word; None = it is out of reach. A word inside the code is none."""
    place = bisect_left(starts, code[0])
    found = []
    if place:
        found.append(max(code[0] - words[place - 1][1], 0))
    if place < len(words):
        found.append(max(words[place][0] - code[1], 0) + _AFTER)
    return min((distance for distance in found if distance <= _REACH), default=None)


def _alone(text: str, code: tuple[int, int]) -> bool:
    """Whether nothing else stands in its line."""
    begin = text.rfind("\n", 0, code[0]) + 1
    end = text.find("\n", code[1])
    return text[begin : end if end >= 0 else len(text)].strip() == text[code[0] : code[1]]


def _plain(code: str) -> str:
    digits = code.replace(" ", "").replace("\u00a0", "").replace("-", "")
    return digits if digits.isdecimal() else code
