"""Bytes and the charset a stranger claims for them -> text, without an exception and without a hostile codec.

Python's registry also answers to idna (quadratic time), utf-7, unicode_escape, undefined, hex and more. So a label
is looked up here, never in the registry: alias -> allowed codec, else UTF-8, else windows-1252.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from types import MappingProxyType

# Where the WHATWG Encoding Standard reads a label as its superset, so do we: mail that says iso-8859-1 means
# windows-1252, gb2312 means gbk, shift_jis means what Windows calls by that name.
_ALIASES = """
utf-8: utf8 unicode-1-1-utf-8 x-utf-8 utf-8-sig utf8mb4 cp65001
ascii: us-ascii ascii ansi_x3.4-1968 iso646-us 646 us
cp1252: windows-1252 cp1252 cp-1252 x-cp1252 iso-8859-1 iso8859-1 iso_8859-1 iso88591 latin1 latin-1 l1 ansi
iso8859-2: iso-8859-2 iso8859-2 latin2 latin-2 l2
iso8859-3: iso-8859-3 iso8859-3 latin3
iso8859-4: iso-8859-4 iso8859-4 latin4
iso8859-5: iso-8859-5 iso8859-5 cyrillic
iso8859-6: iso-8859-6 iso8859-6 iso-8859-6-i iso-8859-6-e arabic
iso8859-7: iso-8859-7 iso8859-7 greek
iso8859-8: iso-8859-8 iso8859-8 iso-8859-8-i iso-8859-8-e hebrew logical visual
cp1254: windows-1254 cp1254 cp-1254 iso-8859-9 iso8859-9 latin5 l5
iso8859-10: iso-8859-10 iso8859-10 latin6
cp874: windows-874 cp874 iso-8859-11 iso8859-11 tis-620 tis620
iso8859-13: iso-8859-13 iso8859-13 latin7
iso8859-14: iso-8859-14 iso8859-14 latin8
iso8859-15: iso-8859-15 iso8859-15 iso_8859-15 latin9 latin-9
iso8859-16: iso-8859-16 iso8859-16 latin10
cp1250: windows-1250 cp1250 cp-1250 x-cp1250
cp1251: windows-1251 cp1251 cp-1251 x-cp1251 win-1251
cp1253: windows-1253 cp1253 cp-1253
cp1255: windows-1255 cp1255 cp-1255
cp1256: windows-1256 cp1256 cp-1256
cp1257: windows-1257 cp1257 cp-1257
cp1258: windows-1258 cp1258 cp-1258
koi8-r: koi8-r koi8 koi
koi8-u: koi8-u koi8-ru
cp437: cp437 cp-437 ibm437 437
cp850: cp850 cp-850 ibm850 850
cp852: cp852 cp-852 ibm852 852
cp855: cp855 ibm855
cp858: cp858 ibm858 ibm00858
cp866: cp866 cp-866 ibm866 866
mac-roman: macintosh mac-roman macroman x-mac-roman mac
mac-cyrillic: x-mac-cyrillic mac-cyrillic maccyrillic
iso2022_jp_ext: iso-2022-jp iso2022-jp csiso2022jp iso-2022-jp-1 iso-2022-jp-ext iso-2022-jp-ms cp50220 cp50221
iso2022_jp_2: iso-2022-jp-2
iso2022_jp_3: iso-2022-jp-3
iso2022_jp_2004: iso-2022-jp-2004
cp932: shift_jis shift-jis shiftjis sjis x-sjis ms_kanji ms932 windows-31j cp932 cp-932 csshiftjis
euc_jp: euc-jp eucjp x-euc-jp cseucpkdfmtjapanese
gb18030: gb18030 gbk x-gbk gb2312 gb_2312-80 cp936 cp-936 ms936 windows-936 euc-cn x-euc-cn csgb2312 chinese
hz: hz-gb-2312 hz
big5hkscs: big5 big-5 x-x-big5 cn-big5 csbig5 big5-hkscs
cp950: cp950 cp-950 windows-950
cp949: euc-kr euckr ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 korean uhc cp949 cp-949 windows-949 cseuckr
iso2022_kr: iso-2022-kr csiso2022kr
johab: johab cp1361
utf-16: utf-16 utf16 ucs-2 unicode iso-10646-ucs-2
utf-16-le: utf-16le utf-16-le
utf-16-be: utf-16be utf-16-be
utf-32: utf-32 utf32
utf-32-le: utf-32le utf-32-le
utf-32-be: utf-32be utf-32-be
"""


def _table(source: str) -> Mapping[str, str]:
    rows = (line.partition(":") for line in source.strip().splitlines())
    return MappingProxyType({label: codec for codec, _, labels in rows for label in (codec, *labels.split())})


CODECS = _table(_ALIASES)
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


def decode(content: bytes, label: str = "") -> str:
    """Text of ``content`` as ``label`` claims; "" or an unknown label means UTF-8, else windows-1252.

    Never raises, never holds a lone surrogate, never begins with a byte order mark. Bytes without a meaning in the
    charset become U+FFFD.
    """
    codec = _codec(label)
    if content.isascii() and _is_above_ascii(codec):
        return content.decode("ascii")  # every other allowed codec has ASCII at its bottom
    return _decode(content, codec).removeprefix("\ufeff")


def with_newlines(content: bytes, label: str) -> bytes:
    """The same with "\n" at every line's end, where that can be done before it is decoded; else ``content``.

    Decoded, a text may take four bytes a character, and then as much again to mend its ends.
    """
    if b"\r" not in content or not _is_above_ascii(_codec(label)):
        return content
    return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _codec(label: str) -> str:
    return CODECS.get(label.lower(), "") if len(label) < 40 else ""


def _is_above_ascii(codec: str) -> bool:
    """Whether bytes below 0x80 stand for ASCII wherever they stand for a control character."""
    return not codec.startswith(("iso2022", "hz", "utf-16", "utf-32"))


def _decode(content: bytes, codec: str) -> str:
    if codec in {"", "ascii", "utf-8"}:
        return _utf8(content)
    if codec.startswith(("utf-16", "utf-32")):
        return _wide(content, codec)
    try:
        return content.decode(codec)
    except UnicodeDecodeError:
        if codec == "cp1252":  # claimed as iso-8859-1 mostly, where 0x81 and four more are control characters
            return content.decode("latin-1")
        return content.decode(codec, "replace")


def _utf8(content: bytes) -> str:
    """UTF-8, or windows-1252 when most of what is not ASCII is no UTF-8: one cut character spoils no text."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        if _is_mostly_utf8(content):
            return content.decode("utf-8", "replace")
        return codecs.charmap_decode(content, "strict", _CP1252)[0]


def _is_mostly_utf8(content: bytes) -> bool:
    """Piece by piece: a text with U+FFFD takes two bytes a character, and a list of what is not ASCII took fifty."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    broken = beyond_ascii = 0
    for start in range(0, len(content), _PIECE_BYTES):
        end = start + _PIECE_BYTES
        text = decoder.decode(content[start:end], final=end >= len(content))
        broken += text.count("\ufffd")
        beyond_ascii += len(text) - len(text.encode("ascii", "ignore"))
    return broken * 2 <= beyond_ascii


_PIECE_BYTES = 256 * 1024
# As the codec has it with "replace", which asks Python for each byte that has no meaning.
_CP1252 = bytes(range(256)).decode("cp1252", "replace")


def _wide(content: bytes, codec: str) -> str:
    """UTF-16 and UTF-32; mail that claims them and holds no zero byte is nearly always ASCII or UTF-8 in truth."""
    if b"\0" not in content:
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            pass
    if codec in {"utf-16", "utf-32"} and not content.startswith(_BYTE_ORDER_MARKS):
        codec += "-be"  # RFC 2781 section 4.3; Python would take the byte order of this machine
    return content.decode(codec, "replace")
