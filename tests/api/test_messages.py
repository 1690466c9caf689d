"""REST of messages, over both stores, against a whole relay that got them by its inbound door."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from relay import clock
from relay.api.listing import TRUNCATED
from relay.letters.layout import Sealed
from relay.mailbox import inboxes, newest_first
from relay.message import Message, encode, for_inbox
from relay.message_id import MessageId
from relay.store import keys
from tests.harness import ACCOUNT, ADDRESS, DOMAIN, KEY, MAIL, OTHER_ADDRESS, OTHER_KEY, QUIET_ADDRESS, Relay

pytestmark = pytest.mark.anyio

SECOND = "second@mailsac.com"
IN_DOMAIN = f"anything@{DOMAIN}"
UNKNOWN = "0123456789abcdef-1700000000000-1"
LINKED = (
    b"From: Ann <ann@sender.test>\r\nTo: user1@mailsac.com\r\nSubject: files\r\nAttachments: none\r\n"
    b'X-Trap: ","size":1,"headers":{"attachments":\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\nsee https://links.test/a\r\n"
    b"--b\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=a.csv\r\n\r\n1,2\r\n--b--\r\n"
)


def path(message_id: str, inbox: str = ADDRESS) -> str:
    return f"{listed(inbox)}/{message_id}"


def listed(inbox: str = ADDRESS) -> str:
    return f"/api/addresses/{inbox}/messages"


async def got(relay: Relay, where: str, **query: Any) -> Any:
    answer = await relay.rest("GET", where, params=query)
    assert answer.status_code == 200, answer.text
    assert TRUNCATED not in answer.headers
    return answer.json()


async def subjects(relay: Relay, where: str = listed(), **query: Any) -> list[str]:
    messages = await got(relay, where, **query)
    return [message["subject"] for message in (messages if isinstance(messages, list) else messages["messages"])]


async def done(relay: Relay, method: str, where: str, status: int = 200) -> Any:
    answer = await relay.rest(method, where)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def many(relay: Relay, count: int, to: str = ADDRESS) -> list[str]:
    return [await relay.send(str(number), to) for number in range(count)]


async def names(relay: Relay, inbox: str = ADDRESS) -> list[str]:
    """The keys that an inbox has, but for what says that a post was taken."""
    [found] = await relay.process.service.store.ask(("KEYS", f"relay:{{{inbox}}}:*"))
    return sorted(name.decode() for name in found if b":seen:" not in name)


async def age(relay: Relay, inbox: str, *, seconds: int) -> None:
    """Makes rows older, and drops their letters, as Redis does by itself."""
    store = relay.process.service.store
    [rows, _] = await store.ask(("XRANGE", keys.index(inbox), "-", "+"), ("DEL", keys.index(inbox)))
    for entry, fields in rows:
        ms, seq = map(int, entry.split(b"-"))
        letter = keys.letter(inbox, f"{fields[3].decode()}-{entry.decode()}")
        await store.ask(("XADD", keys.index(inbox), f"{ms - seconds * 1000}-{seq}", *fields), ("DEL", letter))
    await store.ask(("HINCRBY", keys.meta(inbox), "oldest", -seconds * 1000))


def frame_0_2(number: int, text: str, epoch: str = "abcdef") -> tuple[str, bytes]:
    """An ``_id``, and the message JSON as version 0.2 kept it."""
    message_id = f"{keys.inbox_tag(ADDRESS)}{epoch}-{clock.now_ms() - 10_000}-{number}"
    mail = Message(datetime.now(UTC), f"Subject: {number}\r\n\r\n{text}".encode(), subject=str(number), text=text)
    [sealed] = [Sealed.parse(for_inbox(encode(mail), ADDRESS).letter)]
    return message_id, sealed.json(message_id)


async def letter_0_2(relay: Relay, number: int) -> str:
    message_id, frame = frame_0_2(number, "body")
    entry = MessageId.parse(message_id).entry
    await relay.process.service.store.ask(
        ("HSET", keys.meta(ADDRESS), "epoch", "abcdef", "seq", number, "ms", entry.split("-")[0]),
        ("ZADD", keys.letter_ids(ADDRESS), number, f"{message_id} {ACCOUNT}"),
        ("XADD", keys.letterbox(ADDRESS), entry, "o", ACCOUNT, "m", frame),
    )
    return message_id


async def test_a_list_and_one_message_are_the_frame_without_its_bodies(relay: Relay) -> None:
    async with relay.listen() as socket:
        await relay.post(LINKED, ADDRESS)
        await relay.post(b"Subject: latin\r\n\r\n\xe4\\", ADDRESS)
        frames = [await socket.message() for _ in range(2)]
    for frame in frames:
        for name in ("raw", "rawEncoding", "headers", "text", "html"):
            frame.pop(name, None)
        frame |= {"folder": "inbox", "labels": [], "read": False, "savedBy": None}
    assert await got(relay, listed()) == frames[::-1]
    assert frames[0]["links"] == ["https://links.test/a"]
    assert len(frames[0]["attachments"]) == 1
    for frame in frames:
        assert await got(relay, path(frame["_id"])) == frame


async def test_the_bodies_of_one_message_stay_in_redis(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    message_id = (await relay.post(b"Subject: x\r\n\r\n" + b"x" * 100_000, ADDRESS)).json()["accepted"][0]["_id"]
    replied: list[Any] = []
    ask = inboxes.Inboxes.ask

    async def heard(this: inboxes.Inboxes, *commands: Any) -> list[Any]:
        replies = await ask(this, *commands)
        replied.extend(replies)
        return replies

    monkeypatch.setattr(inboxes.Inboxes, "ask", heard)
    for starred in (None, ACCOUNT):
        assert (await got(relay, path(message_id)))["savedBy"] == starred
        assert (await done(relay, "PUT", path(message_id) + "/star"))["savedBy"] != starred
    assert 0 < len(repr(replied)) < 20_000


async def test_newest_first_in_pages(relay: Relay) -> None:
    ids = await many(relay, 25)
    names = [str(number) for number in range(24, -1, -1)]
    assert await subjects(relay) == names[:20]
    assert await subjects(relay, limit=1000) == names
    assert await subjects(relay, limit=3, skip=20) == names[20:23]
    assert await subjects(relay, skip=9000) == []
    assert await subjects(relay, limit=0) == []
    assert await subjects(relay, limit=2, until=ids[4]) == ["4", "3"]
    newest = (await got(relay, listed(), limit=1))[0]
    assert await subjects(relay, until=newest["received"], limit=1) == ["24"]
    assert await subjects(relay, until="2001-02-03") == []
    assert await subjects(relay, until="2001-02-03T04:05:06 01:00") == []  # "+" of a query
    assert await subjects(relay, until="99999999999999", limit=1) == ["24"]
    assert await got(relay, f"/api/addresses/{ADDRESS}/message-count") == {"count": 25, "inbox": ADDRESS}


async def test_parameters_that_cannot_be_meant(relay: Relay) -> None:
    for query in (
        *("limit=1001", "limit=-1", "limit=1e3", "limit=" + "9" * 400, "skip=9001", "skip=x", "skip=%D9%A1"),
        *("until=yesterday", "until=2026-13-01", "until=0001-01-01T00:00:00%2B23:59x", "until=%00"),
    ):
        for where in (listed(), f"/api/domains/{DOMAIN}/messages", f"/api/inbox?since={query.partition('=')[2]}&"):
            answer = await relay.rest("GET", f"{where}{'' if '?' in where else '?'}{query}")
            assert answer.status_code == 400, answer.text
            assert answer.json()["validationErrors"]


async def test_nothing_is_told_of_what_is_not_ones_own(relay: Relay) -> None:
    message_id = await relay.send("secret", OTHER_ADDRESS)
    for inbox in (OTHER_ADDRESS, "free@mailsac.com", "any@other.example"):
        texts = set()
        for method, where in (
            ("GET", listed(inbox)),
            ("DELETE", listed(inbox)),
            ("GET", f"/api/addresses/{inbox}/message-count"),
            ("GET", path(message_id, inbox)),
            ("GET", path(UNKNOWN, inbox)),
            ("DELETE", path(message_id, inbox)),
            ("PUT", path(message_id, inbox) + "/star"),
            ("PUT", path(message_id, inbox) + "/read/true"),
            ("PUT", path(message_id, inbox) + "/folder/spam"),
            ("PUT", path(message_id, inbox) + "/labels/x"),
            ("DELETE", path(message_id, inbox) + "/labels/x"),
        ):
            answer = await relay.rest(method, where)
            assert answer.status_code == 401, (method, where)
            texts.add(answer.json()["error"])
        assert texts == {f"{inbox} is not an address of this account"}
    for method, where in (("GET", "messages"), ("POST", "delete-all-domain-mail")):
        assert (await relay.rest(method, f"/api/domains/{DOMAIN}/{where}", key=OTHER_KEY)).status_code == 401
    assert [one["subject"] for one in (await relay.rest("GET", listed(OTHER_ADDRESS), key=OTHER_KEY)).json()] == [
        "secret"
    ]


async def test_ids_that_are_not_of_the_inbox(relay: Relay) -> None:
    others_id = await relay.send("other", OTHER_ADDRESS)
    second_id = await relay.send("second", SECOND)
    [own_id] = await many(relay, 1)
    other_epoch = own_id[:10] + ("0" if own_id[10] != "0" else "1") + own_id[11:]
    for message_id, status in (
        (others_id, 404),
        (second_id, 404),
        (UNKNOWN, 404),
        (other_epoch, 404),
        (f"{second_id}0", 404),
        ("nonsense", 400),
        (second_id.upper(), 400),
        ("%00", 400),
        ("x" * 5000, 400),
    ):
        for method, what in (("GET", ""), ("DELETE", ""), ("PUT", "/star"), ("PUT", "/read/true")):
            answer = await relay.rest(method, path(message_id) + what)
            assert answer.status_code == status, (method, message_id)
            assert answer.json()["error"]
    assert await subjects(relay, listed(SECOND)) == ["second"]
    assert [(one["read"], one["savedBy"]) for one in await got(relay, listed())] == [(False, None)]


async def test_what_is_set_on_a_message(relay: Relay) -> None:
    first, second = await many(relay, 2)
    assert await done(relay, "PUT", path(first) + "/read/true") == {"_id": first, "read": True}
    assert await done(relay, "PUT", path(first) + "/folder/trash") == {"_id": first, "folder": "trash"}
    for label in ("später lesen", "a/b", "a/b", "x@y.z"):
        await done(relay, "PUT", path(first) + f"/labels/{quote(label)}")
    labels = ["später lesen", "a/b", "x@y.z"]
    expected = {"read": True, "folder": "trash", "labels": labels, "savedBy": None}
    assert (await got(relay, path(first))).items() >= expected.items()
    assert (await got(relay, listed()))[1].items() >= expected.items()
    assert (await got(relay, path(second)))["labels"] == []
    assert await done(relay, "DELETE", path(first) + "/labels/nobody") == {"_id": first, "labels": labels}
    assert (await done(relay, "DELETE", path(first) + "/labels/a%2Fb"))["labels"] == ["später lesen", "x@y.z"]
    assert await done(relay, "PUT", path(first) + "/read/false") == {"_id": first, "read": False}
    assert (await got(relay, "/api/inbox"))["unread"] == 2
    await done(relay, "PUT", path(second) + "/read/true")
    assert (await got(relay, "/api/inbox"))["unread"] == 1


async def test_what_cannot_be_set(relay: Relay) -> None:
    [message_id] = await many(relay, 1)
    for number in range(20):
        await done(relay, "PUT", path(message_id) + f"/labels/{number}")
    for what in (
        "/labels/one-too-many",
        f"/labels/{'x' * 101}",
        "/labels/%0A",
        "/labels/%20",
        "/labels/%FF",
        "/folder/Inbox",
        "/folder/x%0Ay",
        "/read/1",
    ):
        answer = await relay.rest("PUT", path(message_id) + what)
        assert answer.status_code == 400, what
        assert answer.json()["validationErrors"]
    assert len((await got(relay, path(message_id)))["labels"]) == 20
    assert (await done(relay, "PUT", path(message_id) + "/labels/7"))["labels"][7] == "7"  # it has that one


@pytest.mark.settings(keep_messages=3, starred_messages=2)
async def test_a_star_keeps_a_message(relay: Relay) -> None:
    ids = await many(relay, 3)
    starred = await done(relay, "PUT", path(ids[0]) + "/star")
    assert (starred["_id"], starred["savedBy"], "raw" in starred) == (ids[0], ACCOUNT, False)
    await done(relay, "PUT", path(ids[0]) + "/labels/keep")
    await done(relay, "PUT", path(ids[1]) + "/star")
    assert (await relay.rest("PUT", path(ids[2]) + "/star")).status_code == 400
    await many(relay, 3)  # in the place of the first three
    assert await subjects(relay) == ["2", "1", "0", "1", "0"]
    assert await subjects(relay, skip=3, limit=1) == ["1"]
    assert await subjects(relay, until=ids[0]) == ["0"]
    assert (await got(relay, f"/api/addresses/{ADDRESS}/message-count"))["count"] == 5
    kept = await got(relay, path(ids[0]))
    assert (kept["savedBy"], kept["labels"]) == (ACCOUNT, ["keep"])
    assert [one["_id"] for one in await got(relay, "/api/addresses/starred/messages")] == ids[1::-1]
    assert await subjects(relay, "/api/inbox") == ["2", "1", "0", "1", "0"]
    await done(relay, "DELETE", listed(), 204)
    assert await subjects(relay) == ["1", "0"]
    assert (await done(relay, "PUT", path(ids[0]) + "/star"))["savedBy"] is None
    assert await subjects(relay) == ["1"]  # its letter is gone, and now the copy
    await done(relay, "DELETE", path(ids[1]))
    assert await got(relay, "/api/addresses/starred/messages") == []
    assert await got(relay, listed()) == []


@pytest.mark.settings(starred_bytes=3000)
async def test_stars_have_a_limit_in_bytes(relay: Relay) -> None:
    noise = random.Random(3).randbytes(3000).hex().encode()  # which does not get small
    await relay.post(b"Subject: large\r\n\r\n" + noise, ADDRESS)
    small = await relay.send("small")
    [_, large] = await got(relay, listed())
    refused = await relay.rest("PUT", path(large["_id"]) + "/star")
    assert (refused.status_code, "over 3000 bytes" in refused.json()["error"]) == (400, True)
    assert (await done(relay, "PUT", path(small) + "/star"))["savedBy"] == ACCOUNT
    assert await subjects(relay, "/api/addresses/starred/messages") == ["small"]


async def test_released_mail_is_gone_with_all_that_was_set(relay: Relay) -> None:
    [message_id] = await many(relay, 1)
    await done(relay, "PUT", path(message_id) + "/star")
    await done(relay, "PUT", path(message_id) + "/labels/mine")
    await done(relay, "DELETE", f"/api/addresses/{ADDRESS}?deleteAddressMessages=true")
    assert (await relay.rest("GET", listed())).status_code == 401
    assert await got(relay, "/api/addresses/starred/messages") == []
    answer = await relay.rest("POST", f"/api/addresses/{ADDRESS}", key=OTHER_KEY, json={"enablews": True})
    assert answer.status_code == 200
    assert (await relay.rest("GET", listed(), key=OTHER_KEY)).json() == []
    assert (await relay.rest("GET", path(message_id), key=OTHER_KEY)).status_code == 404
    assert await names(relay) == [keys.address(ADDRESS)]


async def test_what_shows_no_message_reads_none(relay: Relay) -> None:
    """Redis would copy all of it before it answers anybody else: here there is nothing but rows to look at."""
    first, second, starred, last = await many(relay, 4)
    await done(relay, "PUT", path(starred) + "/star")
    store = relay.process.service.store
    letters = [keys.letter(ADDRESS, MessageId.parse(one).place) for one in (first, second, starred)]
    copy = keys.starred_letter(ADDRESS, f"{starred} {ACCOUNT}")
    assert await store.ask(("DEL", *letters, copy)) == [4]
    assert await subjects(relay) == ["3", "2", "1", "0"]
    await done(relay, "PUT", path(first) + "/read/true")
    await done(relay, "PUT", path(first) + "/labels/mine")
    assert (await got(relay, "/api/inbox"))["unread"] == 3
    assert await done(relay, "DELETE", path(first)) is not None
    assert (await relay.rest("PUT", path(first) + "/read/true")).status_code == 404
    await done(relay, "PUT", path(starred) + "/star")  # it is not: the letter is not looked for
    await done(relay, "PUT", path(starred) + "/labels/mine")
    await done(relay, "DELETE", listed(), 204)
    [known] = await store.ask(("XLEN", keys.index(ADDRESS)))
    assert (known, (await relay.rest("DELETE", path(last))).status_code) == (0, 404)


async def test_a_letter_that_redis_dropped_is_not_there(relay: Relay) -> None:
    """It was restored from a backup, or evicted: the row alone is left. What needs no letter is as before."""
    [message_id] = await many(relay, 1)
    await relay.process.service.store.ask(("DEL", keys.letter(ADDRESS, MessageId.parse(message_id).place)))
    assert await subjects(relay) == ["0"]
    assert (await got(relay, path(message_id)))["subject"] == "0"
    for method, where in (("GET", f"/api/raw/{ADDRESS}/{message_id}"), ("PUT", path(message_id) + "/star")):
        assert (await relay.rest(method, where)).status_code == 404
    assert await got(relay, "/api/addresses/starred/messages") == []


@pytest.mark.settings(keep_seconds=60)
async def test_what_is_too_old_is_nowhere_although_its_row_is_there(relay: Relay) -> None:
    old, new = await many(relay, 2)
    await done(relay, "PUT", path(old) + "/read/true")
    await age(relay, ADDRESS, seconds=120)
    [new] = await many(relay, 1)
    assert await relay.process.service.store.ask(("XLEN", keys.index(ADDRESS))) == [1]
    await age(relay, ADDRESS, seconds=120)
    old_id = (await relay.process.service.store.ask(("XRANGE", keys.index(ADDRESS), "-", "+")))[0][0][0].decode()
    assert await subjects(relay) == []
    aged = f"{new.rpartition('-')[0].rpartition('-')[0]}-{old_id}"
    for method, what in (("GET", ""), ("PUT", "/read/true"), ("PUT", "/star"), ("DELETE", "")):
        assert (await relay.rest(method, path(aged) + what)).status_code == 404, (method, what)
    assert (await got(relay, "/api/inbox"))["unread"] == 0
    assert (await got(relay, "/api/me/stats"))["storedMessages"] == 0
    assert await relay.process.service.store.ask(("XLEN", keys.index(ADDRESS))) == [0]  # the count swept it out


@pytest.mark.parametrize("first", ["list", "count", "read", "flag", "star", "delete", "delete all", "entry"])
async def test_letters_of_version_0_2(relay: Relay, first: str) -> None:
    ids = [await letter_0_2(relay, number) for number in range(1, 4)]
    if first == "list":
        assert await subjects(relay) == ["3", "2", "1"]
    elif first == "count":
        assert (await got(relay, "/api/inbox"))["unread"] == 3
    elif first == "read":
        assert (await relay.rest("GET", f"/api/raw/{ADDRESS}/{ids[1]}")).text == "Subject: 2\r\n\r\nbody"
    elif first == "flag":
        await done(relay, "PUT", path(ids[0]) + "/read/true")
    elif first == "star":
        await done(relay, "PUT", path(ids[0]) + "/star")
    elif first == "delete":
        await done(relay, "DELETE", path(ids[2]))
    elif first == "delete all":
        await done(relay, "DELETE", listed(), 204)
    else:
        assert (await got(relay, path(ids[0])))["subject"] == "1"
    left = {"delete": ["2", "1"], "delete all": []}.get(first, ["3", "2", "1"])
    assert await subjects(relay) == left
    await relay.send("4")
    assert await subjects(relay) == ["4", *left]
    # Who goes back to that version finds there what its owner has not deleted.
    kept = await relay.process.service.store.ask(("XLEN", keys.letterbox(ADDRESS)))
    assert kept == [len(left) + 1]


async def test_a_star_of_version_0_2(relay: Relay) -> None:
    """The whole message is in the hash, and its letter is gone long since."""
    for size in (10, 2_000_000):
        message_id, frame = frame_0_2(size, "x" * size)
        store = relay.process.service.store
        await store.ask(
            ("HSET", keys.starred(ADDRESS), f"{message_id} {ACCOUNT}", frame),
            ("ZADD", keys.account_starred(ACCOUNT), 1, ADDRESS),
        )
        assert await subjects(relay, "/api/addresses/starred/messages") == [str(size)]
        assert await subjects(relay) == [str(size)]
        assert "text" not in (await got(relay, path(message_id)))
        answer = await relay.rest("GET", f"/api/raw/{ADDRESS}/{message_id}")
        assert answer.text == f"Subject: {size}\r\n\r\n" + "x" * size
        assert (await done(relay, "PUT", path(message_id) + "/star"))["savedBy"] is None
        assert await got(relay, "/api/addresses/starred/messages") == []


@pytest.mark.settings(keep_messages=5)
async def test_flags_of_messages_that_are_gone_go_too(relay: Relay) -> None:
    for number in range(60):
        await done(relay, "PUT", path(await relay.send(str(number))) + "/read/true")
    [flags, left_ms] = await relay.process.service.store.ask(
        ("HLEN", keys.flags(ADDRESS)), ("PTTL", keys.flags(ADDRESS))
    )
    assert 5 <= flags <= 2 * 5 + 32
    assert left_ms > 0
    assert (await got(relay, "/api/inbox"))["unread"] == 0


async def test_all_inboxes_of_an_account_and_of_a_domain(relay: Relay) -> None:
    await relay.send("to another", OTHER_ADDRESS)
    for number, inbox in enumerate((ADDRESS, SECOND, IN_DOMAIN, ADDRESS, f"other@{DOMAIN}")):
        await relay.send(str(number), inbox)
        # What comes in one millisecond is in no order of which inbox was first.
        seconds, micros = (await relay.process.service.store.ask(("TIME",)))[0]
        while (now := (await relay.process.service.store.ask(("TIME",)))[0]) and (
            (int(now[0]), int(now[1]) // 1000) == (int(seconds), int(micros) // 1000)
        ):
            pass
    inbox = await got(relay, "/api/inbox", limit=3, skip=1)
    assert [message["subject"] for message in inbox["messages"]] == ["3", "2", "1"]
    assert (inbox["unread"], inbox["limit"], inbox["skip"]) == (5, 3, 1)
    assert await subjects(relay, "/api/inbox") == ["4", "3", "2", "1", "0"]
    assert await subjects(relay, "/api/inbox", since=inbox["messages"][0]["received"]) in (["4", "3"], ["4"])
    assert await subjects(relay, "/api/inbox", since="2099-01-01") == []
    assert await subjects(relay, f"/api/domains/{DOMAIN}/messages") == ["4", "2"]
    assert await subjects(relay, f"/api/domains/{DOMAIN}/messages", limit=1, skip=1) == ["2"]
    assert await subjects(relay, listed(IN_DOMAIN)) == ["2"]
    [starred] = await got(relay, listed(IN_DOMAIN))
    await done(relay, "PUT", path(starred["_id"], IN_DOMAIN) + "/star")
    await done(relay, "POST", f"/api/domains/{DOMAIN}/delete-all-domain-mail", 204)
    assert await subjects(relay, f"/api/domains/{DOMAIN}/messages") == ["2"]
    assert await subjects(relay, "/api/inbox") == ["3", "2", "1", "0"]
    await done(relay, "PUT", path(starred["_id"], IN_DOMAIN) + "/star")
    assert await subjects(relay, listed(IN_DOMAIN)) == ["2"]  # its letter stayed, not a copy alone


async def test_search_and_filter(relay: Relay) -> None:
    await relay.post(MAIL, ADDRESS)
    await relay.post(MAIL.replace(b"ann@", b"bob@").replace(b"Hello\r\n", "Grüße\r\n".encode(), 1), ADDRESS)
    await relay.post(MAIL.replace(b"user1@", b"list@").replace(b"Hello\r\n", b"Third\r\n", 1), IN_DOMAIN)
    search, only = "/api/inbox-search", "/api/inbox-filter"
    assert await subjects(relay, search, query="HELLO") == ["Hello"]
    assert await subjects(relay, search, query="GRÜSSE") == ["Grüße"]
    assert await subjects(relay, search, query="ann@sender") == ["Third", "Hello"]
    assert await subjects(relay, search, query="list@") == ["Third"]
    assert (await got(relay, search, query="nobody")) == {"query": "nobody", "messages": []}
    assert await subjects(relay, only, andFrom="ann@") == ["Third", "Hello"]
    assert await subjects(relay, only, andFrom="ann@", andSubjectIncludes="hell") == ["Hello"]
    assert await subjects(relay, only, andFrom="bob@", andSubjectIncludes="hell") == []
    assert await subjects(relay, only, andTo=IN_DOMAIN) == ["Third"]
    assert await subjects(relay, only, andTo="user1") == ["Grüße", "Hello"]
    for where in (search, only, f"{search}?query=%20", f"{search}?query={'x' * 201}"):
        assert (await relay.rest("GET", where)).status_code == 400


async def test_who_i_am(relay: Relay) -> None:
    [message_id, _] = await many(relay, 2)
    await done(relay, "PUT", path(message_id) + "/star")
    me = await got(relay, "/api/me")
    assert (me["_id"], me["privateAddressCredits"]) == (ACCOUNT, 997)
    assert await got(relay, "/api/me/stats") == {
        "addresses": [QUIET_ADDRESS, SECOND, ADDRESS],
        "domains": [DOMAIN],
        "starredMessages": 1,
        "storedMessages": 2,
    }
    assert (await relay.rest("GET", "/api/me/stats?overrideAccountId=user2")).status_code == 401
    assert (await relay.rest("GET", "/api/me", key="wrong")).status_code == 401


async def test_a_domain_that_changed_hands_shows_nothing_of_before(relay: Relay) -> None:
    starred = await relay.send("of the first owner", IN_DOMAIN)
    await done(relay, "PUT", path(starred, IN_DOMAIN) + "/star")
    domains = relay.process.service.accounts.domains
    await domains.remove(ACCOUNT, DOMAIN)
    await domains.declare("user2", DOMAIN)
    await relay.send("of the second", IN_DOMAIN)
    [message] = (await relay.rest("GET", listed(IN_DOMAIN), key=OTHER_KEY)).json()
    assert message["subject"] == "of the second"
    answer = await relay.rest("GET", f"/api/addresses/{IN_DOMAIN}/message-count", key=OTHER_KEY)
    assert answer.json()["count"] == 1
    assert (await relay.rest("GET", "/api/inbox", key=OTHER_KEY)).json()["unread"] == 1
    await relay.rest("DELETE", listed(IN_DOMAIN), key=OTHER_KEY)
    [left] = await relay.process.service.store.ask(("XLEN", keys.index(IN_DOMAIN)))
    assert left == 1  # not the second's to delete
    [copies] = await relay.process.service.store.ask(("EXISTS", keys.starred(IN_DOMAIN)))
    assert copies == 0
    assert await got(relay, "/api/addresses/starred/messages") == []


async def test_an_address_that_another_has_in_ones_domain_is_not_ones_own(relay: Relay) -> None:
    addresses = relay.process.service.accounts.addresses
    await addresses.declare("user2", IN_DOMAIN, enablews=True)
    [first, *_] = await many(relay, 3, IN_DOMAIN)
    await relay.send("mine", f"other@{DOMAIN}")
    for marked in range(2):
        assert (await got(relay, "/api/me/stats"))["storedMessages"] == 1
        assert (await got(relay, "/api/inbox"))["unread"] == 1
        for where in ("/api/inbox", f"/api/domains/{DOMAIN}/messages"):
            assert await subjects(relay, where) == ["mine"]
        answer = await relay.rest("GET", "/api/inbox", key=OTHER_KEY)
        assert (len(answer.json()["messages"]), answer.json()["unread"]) == (3, 3 - marked)
        answer = await relay.rest("PUT", path(first, IN_DOMAIN) + "/read/true", key=OTHER_KEY)
        assert answer.status_code == 200
    await done(relay, "POST", f"/api/domains/{DOMAIN}/delete-all-domain-mail", 204)
    assert len((await relay.rest("GET", listed(IN_DOMAIN), key=OTHER_KEY)).json()) == 3


async def test_changes_at_once_lose_nothing(relay: Relay) -> None:
    [message_id] = await many(relay, 1)
    await asyncio.gather(*(done(relay, "PUT", path(message_id) + f"/labels/{number}") for number in range(20)))
    assert sorted((await got(relay, path(message_id)))["labels"], key=int) == [str(n) for n in range(20)]
    stars = [done(relay, "PUT", path(message_id) + "/star") for _ in range(11)]
    await asyncio.gather(*stars)
    assert (await got(relay, path(message_id)))["savedBy"] == ACCOUNT
    assert await subjects(relay, "/api/addresses/starred/messages") == ["0"]
    assert (await relay.rest("GET", path(message_id), key=f"second-{KEY}")).status_code == 200


async def test_no_answer_looks_at_more_than_it_may_and_says_so(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    await many(relay, 4)
    await many(relay, 4, IN_DOMAIN)
    for name, limit in (("READ_MESSAGES", 3), ("READ_BYTES", 500)):
        with monkeypatch.context() as patch:
            patch.setattr(newest_first, name, limit)
            for where in ("/api/inbox-search?query=nobody", "/api/inbox", f"{listed()}?skip=7"):
                answer = await relay.rest("GET", where)
                assert answer.status_code == 200
                assert "narrow the question" in answer.headers[TRUNCATED], where
            assert TRUNCATED not in (await relay.rest("GET", f"{listed()}?limit=1")).headers
    [[(_, (*_, row))]] = await relay.process.service.store.ask(
        ("XREVRANGE", keys.index(ADDRESS), "+", "-", "COUNT", 1)
    )
    with monkeypatch.context() as patch:  # each mail is a page, and counts as it is kept
        patch.setattr(newest_first, "_PAGE_BYTES", 1)
        patch.setattr(newest_first, "READ_BYTES", 2 * len(row) + 1)
        answer = await relay.rest("GET", listed())
        assert [message["subject"] for message in answer.json()] == ["3", "2", "1"]
        assert "go on with `until`" in answer.headers[TRUNCATED]
        answer = await relay.rest("GET", f"{listed()}?until={answer.json()[-1]['_id']}")
        assert [message["subject"] for message in answer.json()] == ["1", "0"]
    with monkeypatch.context() as patch:
        patch.setattr(relay.process.service.mailbox._inboxes, "_most", 1)
        answer = await relay.rest("GET", "/api/inbox")
        assert [message["inbox"] for message in answer.json()["messages"]] == [IN_DOMAIN] * 4
        assert TRUNCATED in answer.headers


async def test_a_row_too_large_for_scripts_is_read_from_its_letter(relay: Relay) -> None:
    """A mail to thousands: lists show all of them, also when it is starred and its letter has gone."""
    to = ",\r\n ".join(f"{number * 7919:x} <{number * 104729:x}@{number:x}.test>" for number in range(3000))
    raw = f"From: a@sender.test\r\nTo: {to}\r\nSubject: many\r\n\r\nHello.\r\n".encode()
    answer = (await relay.post(raw, ADDRESS)).json()
    message_id = answer["accepted"][0]["_id"]
    [[_, row]] = (await relay.process.service.store.ask(("XRANGE", keys.index(ADDRESS), "-", "+")))[0]
    assert len(row[-1]) < 1000
    [listed_one] = await got(relay, listed())
    assert (listed_one["subject"], len(listed_one["to"])) == ("many", 3000)
    assert await got(relay, path(message_id)) == listed_one
    await done(relay, "PUT", path(message_id) + "/star")
    letter = keys.letter(ADDRESS, MessageId.parse(message_id).place)
    await relay.process.service.store.ask(("DEL", letter, keys.index(ADDRESS)))
    [starred] = await got(relay, "/api/addresses/starred/messages")
    assert starred == listed_one | {"savedBy": ACCOUNT}
