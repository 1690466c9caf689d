"""Every mail of the corpus against the standard library; where the two differ on purpose, the table says why."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from relay.errors import NotAMail
from relay.message import EmailAddress
from relay.mime import Parts, parse
from tests.mime.stdlib import opinion

CORPUS = Path(__file__).parent / "corpus"
NOT_MAILS = {"empty", "blank-first", "no-header-first", "mbox"}
MAILS = sorted(path.stem for path in CORPUS.glob("*.eml") if path.stem not in NOT_MAILS)


def raw_of(name: str) -> bytes:
    return (CORPUS / f"{name}.eml").read_bytes()


def digests(*contents: bytes) -> tuple[str, ...]:
    return tuple(hashlib.md5(content, usedforsecurity=False).hexdigest() for content in contents)


INNER = (
    b"From: inner@example.org\r\nSubject: inner\r\nContent-Type: text/plain\r\n\r\n"
    b"Inner text https://inner.example.org/\r\n"
)
HOSTILE = "+ADw-b\\u0041xn--caf-dma 6869 +AD4-\n"
UNKNOWN = "the standard library does not know this label, senders write it all the same"
WHOLE = "a message is one attachment, byte by byte; the standard library parses it and writes it anew"

# (mail, field): (expected, reason)
DIFFERENT: dict[tuple[str, str], tuple[Any, str]] = {
    ("address-broken", "to"): (
        (("Bob", "bob@example.net"), ("", "carl@example.org")),
        "a quote that never closes is no reason to lose two mailboxes",
    ),
    ("address-broken", "cc"): (
        (("", "nobody"), ("dora", "dora@example.com"), ("open", "eve@example.com")),
        "an address without brackets ends at a blank; a comment that never closes is none",
    ),
    ("address-broken", "bcc"): ((), "bytes without an @ are no mailbox"),
    ("address-comments", "sender"): ((("Ann (the) Example", "ann@example.com"),), "comments nest, and keep it"),
    ("address-comments", "to"): (
        (("before", "bob@example.net"), ("Carl", "carl@example.org")),
        "the first comment is the name when there is no other; never is it part of one",
    ),
    ("address-route", "sender"): ((("", "ann@example.com"),), "the route is no mailbox, RFC 5322 section 4.4"),
    ("address-smtputf8", "sender"): ((("Jörg", "jörg@exämple.com"),), "RFC 6532: fields are UTF-8"),
    ("address-smtputf8", "to"): ((("", "用户@例子.世界"),), "RFC 6532: fields are UTF-8"),
    ("ascii-is-utf8", "text"): ("naïve\n", "us-ascii with 8-bit bytes is UTF-8 in truth"),
    ("bare-cr-inside", "subject"): ("a b", "a bare CR ends no line, RFC 5322 section 2.3"),
    ("bare-cr-inside", "text"): ("one\ntwo\n", "a bare CR in a field does not begin the body"),
    ("base64-chunks", "attachments"): (digests(b"helloworld"), "each chunk was padded; none is lost"),
    ("base64-comment", "text"): ("Grüße", "the encoding is the first word of the field"),
    ("base64-one-digit-over", "attachments"): (
        digests(b"hello world!"),
        "what can be decoded is; the standard library gives the text back undecoded",
    ),
    ("bounce", "attachments"): (
        digests(
            b"Reporting-MTA: dns; mx.example.com\r\n\r\nFinal-Recipient: rfc822; bob@example.net\r\n"
            b"Action: failed\r\nStatus: 5.1.1\r\n",
            b"Subject: lost\r\nFrom: ann@example.com\r\n",
        ),
        "message/delivery-status is a leaf; the standard library takes it for a container",
    ),
    ("boundary-missing", "text"): ("--b1\n\nText.\n--b1--\n", "rather shown than hidden"),
    ("boundary-missing", "attachments"): ((), "rather shown than hidden"),
    ("boundary-never-comes", "text"): ("Just a text.\n", "rather shown than hidden"),
    ("boundary-never-comes", "attachments"): ((), "rather shown than hidden"),
    ("boundary-never-closed", "html"): ("<p>html</p>\n", "only a line end before a delimiter belongs to it"),
    ("cp-850", "text"): ("élève ß\n", UNKNOWN),
    ("default-charset", "text"): ("café\n", UNKNOWN),
    ("digest", "attachments"): (digests(INNER), WHOLE),
    ("fold-blank", "subject"): ("blank before the colon", "obsolete syntax, RFC 5322 section 4.5.1"),
    ("fold-blank", "text"): ("Hello.\n", "obsolete syntax, RFC 5322 section 4.5.1"),
    ("hostile-hex", "text"): (HOSTILE, "no codec of the registry is reachable by name"),
    ("hostile-idna", "text"): (HOSTILE, "no codec of the registry is reachable by name"),
    ("hostile-punycode", "text"): (HOSTILE, "no codec of the registry is reachable by name"),
    ("hostile-undefined", "text"): (HOSTILE, "no codec of the registry is reachable by name"),
    ("hostile-unicode_escape", "text"): (HOSTILE, "no codec of the registry is reachable by name"),
    ("hostile-utf-7", "text"): (HOSTILE, "UTF-7 hides markup from whoever looks at the bytes"),
    ("iso-8859-1-smart", "text"): ("“quoted” € 5\n", "who says iso-8859-1 means windows-1252 (WHATWG)"),
    ("iso-8859-8-i", "text"): ("שלום\n", UNKNOWN),
    ("lf-only", "subject"): ("LF folded", "a subject is one line"),
    ("nested-rfc822", "attachments"): (digests(INNER), WHOLE),
    ("nested-rfc822-base64", "attachments"): (digests(INNER), WHOLE),
    ("nested-rfc822-broken-base64", "attachments"): (digests(INNER), WHOLE),
    ("no-charset-8bit", "text"): ("café – bar\n", "without charset: UTF-8, else windows-1252"),
    ("no-colon-in-the-middle", "subject"): ("still here", "one broken line does not lose the fields behind it"),
    ("no-colon-in-the-middle", "text"): ("", "one broken line does not lose the fields behind it"),
    ("no-colon-in-the-middle", "html"): ("<p>x</p>\n", "one broken line does not lose the fields behind it"),
    ("no-colon-in-the-middle", "to"): (
        (("", "bob@example.net"),),
        "one broken line does not lose the fields behind it",
    ),
    ("part-without-headers", "text"): (
        "no header at all\ntext right behind the boundary",
        "texts are joined line by line",
    ),
    ("qp-broken", "text"): (
        "a=ZZ bé softend\nlone = equals\ncafé",
        "blanks at a line's end go, RFC 2045 section 6.7 rule 3",
    ),
    ("root-with-name", "text"): ("still the body\n", "the only part is the body unless it says attachment"),
    ("root-with-name", "attachments"): ((), "the only part is the body unless it says attachment"),
    ("several-texts", "text"): ("Body text.\n-- \nlist footer\n", "texts are joined line by line"),
    ("subject-8bit-latin1", "subject"): ("Grüße", "a field that is no UTF-8 is latin-1"),
    ("subject-8bit-latin1", "sender"): ((("André", "andre@example.com"),), "a field that is no UTF-8 is latin-1"),
    ("subject-8bit-utf8", "subject"): ("Grüße", "RFC 6532: fields are UTF-8"),
    ("subject-8bit-utf8", "sender"): ((("André", "andre@example.com"),), "RFC 6532: fields are UTF-8"),
    ("subject-newline-word", "subject"): ("one Bcc: x@example.com", "a subject is one line"),
    ("unknown-charset", "text"): ("Grüße\n", UNKNOWN),
    ("utf-16-claimed", "text"): ("plain ASCII, in fact\n", "UTF-16 without a zero byte that is UTF-8 is UTF-8"),
    ("utf-8-bom", "text"): ("with a mark\n", "the byte order mark is no text"),
    ("utf-8-is-latin", "text"): ("café crème\n", "claimed UTF-8 that mostly is none is windows-1252"),
    ("windows-31j", "text"): ("髙橋①\n", UNKNOWN),
    ("words-broken", "subject"): (
        "=?utf-8?Q?open =?utf-8?B?!!!?= =?x?Z?y?= finea",
        "a word that is broken stays as it came, to the last character",
    ),
    ("words-in-names", "to"): (
        (("Änna", "anna@example.com"), ("Jörg", "joerg@example.com"), ("Doe, John", "john@example.com")),
        "a comma inside an encoded word separates nothing",
    ),
    ("words-unknown-charset", "subject"): ("grünxn--a\\u0041", UNKNOWN),
    ("x-gbk", "text"): ("你好,世界\n", UNKNOWN),
    ("x-sjis", "text"): ("①は丸付き\n", UNKNOWN),
}
# Since which Python the standard library says what we say, so that there is no difference any more.
LEARNT = {("windows-31j", "text"): (3, 13)}


def shape(parts: Parts) -> dict[str, Any]:
    def pairs(mailboxes: tuple[EmailAddress, ...]) -> tuple[tuple[str, str], ...]:
        return tuple((mailbox.name, mailbox.address) for mailbox in mailboxes)

    return {
        "subject": parts.subject,
        "sender": pairs(parts.sender),
        "to": pairs(parts.to),
        "cc": pairs(parts.cc),
        "bcc": pairs(parts.bcc),
        "text": parts.text,
        "html": parts.html,
        "attachments": parts.attachments,
    }


@pytest.mark.parametrize("name", MAILS)
def test_a_mail_reads_as_in_the_standard_library_or_better(name: str) -> None:
    raw = raw_of(name)
    second = opinion(raw)
    ours = shape(parse(raw))
    expected = {field: getattr(second, field) for field in ours}
    for field in ours:
        if (name, field) in DIFFERENT and sys.version_info < LEARNT.get((name, field), (4,)):
            assert ours[field] != expected[field], f"{field}: no difference any more, take it out of the table"
            expected[field] = DIFFERENT[name, field][0]
    assert ours == expected
    orjson.dumps(parse(raw))


def test_the_table_names_mails_that_exist() -> None:
    assert {name for name, _ in DIFFERENT} <= set(MAILS)
    assert len(MAILS) >= 45


@pytest.mark.parametrize("name", sorted(NOT_MAILS))
def test_what_does_not_begin_like_a_mail_is_refused_without_quoting_it(name: str) -> None:
    raw = raw_of(name)
    with pytest.raises(NotAMail, match="a mail") as refusal:
        parse(raw)
    assert refusal.value.status == 400
    assert not raw or raw.split(b"\n")[0].decode() not in str(refusal.value) or raw.startswith(b"\r\n")


def test_the_sample_of_the_seed() -> None:
    parts = parse(raw_of("seed"))
    assert parts.text == "Here's some message text.\n\nWe are testing web sockets.\n"
    assert parts.html == " Here's some message text.\n\nWe are testing web sockets.\n "
    assert parts.subject == "This is a subject"
    assert parts.sender == (EmailAddress("from_test@mailsac.com"),)
    assert parts.to == (EmailAddress("user1@mailsac.com"),)
    assert (parts.cc, parts.bcc, parts.attachments, parts.links) == ((), (), (), ())
    assert parts.headers == SEED_HEADERS


# As the page prints them, in the order of the raw mail; there "to" contradicts the raw mail, which counts.
SEED_HEADERS = (
    (
        "received",
        "from by frontend1-172-31-29-224 via with HTTP id 8ml9bOrEQ7J_0VMd0vjPULgc for ; "
        "Tue Jun 23 2020 01:33:13 GMT+0000 (Coordinated Universal Time)",
    ),
    (
        "received",
        "from smtp-in2-172-31-42-57 via (proxy) with SMTP id 8ml9bOrEQ7J_0VMd0vjPULgc for ; "
        "Tue, 23 Jun 2020 01:33:13 UTC",
    ),
    ("x-mailsac-whitelist", "user1@mailsac.com,from_test@mailsac.com,"),
    ("x-mailsac-inbound-version", "7463aab"),
    (
        "dkim-signature",
        "v=1; a=rsa-sha256; c=relaxed/relaxed; d=mailsac.com; q=dns/txt; s=mailsacrelay; "
        "bh=r0Rk73qDq89EuDZsfA4VqbZ/rqPclpo6FwUp6HTtsgg=; "
        "h=from:subject:to:mime-version:content-type:list-unsubscribe; "
        "b=C7leDzbCghwRfubINLbVmzTiecO/nA7zEsX0xuFJ9D8om617iGcD6q7CGysMu8jXcohxeeINI "
        "i2GvfKq2L7sXNPPFwBsnjGvIL8mJQYHWI+FEG3+TCnTc7ZRavKmQPAJl3B2k9QroWp5s2RyCdpJ "
        "vX+qjcoo7zwld6R2+C6Kmz4=",
    ),
    ("content-type", 'multipart/alternative; boundary="----sinikael-?=_1-15928759930350.8681360034141601"'),
    (
        "received",
        "from frontend1-172-31-29-224 ([]) with HTTP by cranberry; "
        "Mon Jun 22 2020 21:33:12 GMT-0400 (Eastern Daylight Time)",
    ),
    (
        "received",
        "from ruffrey (from_test@mailsac.com) ([]) with HTTP id fe-vlp0jxneoa8 by frontend1-172-31-29-224 ([]); "
        "2020-06-23T01:33:12.177Z",
    ),
    ("from", "from_test@mailsac.com"),
    ("to", "user1@mailsac.com"),
    ("subject", "This is a subject"),
    ("message-id", "<8lncjPWgrxtLxryJG2VNSf6z@mailsac.com>"),
    ("list-unsubscribe", ""),
    ("date", "Tue, 23 Jun 2020 01:33:13 +0000"),
    ("mime-version", "1.0"),
)
