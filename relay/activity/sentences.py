"""Each event as one sentence for a person: what happened and, where something can be done about it, what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from relay.activity.kinds import Kind

Members = Mapping[str, Any]

_KIB = 1024
_NOT_LISTED = "; more of this kind within the minute are not listed, the service's log has them"

_REFUSALS = {
    "not reserved": "nobody has reserved the address: reserve it with POST /api/addresses/{inbox} if it should arrive",
    "forwarding off": 'forwarding is off for it: switch it on with PUT /api/addresses/{inbox} {{"enablews": true}}',
    "not an address": "that is not a mail address: have the sender correct it",
    "too large": "it is larger than RELAY_MAX_MESSAGE_BYTES: have it sent smaller, or the limit raised",
    "too many recipients": "one post named too many recipients: have the mail posted in parts",
}
_GAPS = {
    "expired": "it is older than what is kept: come back sooner, or have RELAY_KEEP_SECONDS raised",
    "trimmed": "more came than is kept or replayed at once: come back with since= and the last _id, and sooner",
    "epoch": "Redis lost its count: compare what you have with what was sent",
}
_CLOSES = {
    "1011": "connect again, with since",
    "1012": "connect again, with since",
    "4401": "use a key that is valid",
    "4403": "reserve the address, or switch its forwarding on",
    "4408": "read faster, and connect again with since",
}


def sentence(kind: str, members: Members) -> str:
    """Total: also for an event of another version, whose members may be missing, or for a kind that is not known."""
    write = _WRITERS.get(kind)
    text = write(_Lenient(members)) if write else kind
    return f"{text}{_NOT_LISTED if members.get('cut') else ''}."


class _Lenient(dict[str, Any]):
    """Members, where one that is missing is an empty text."""

    def __missing__(self, _name: str) -> str:
        return ""


def _received(of: Members) -> str:
    mail = _mail(of)
    if of["duplicate"]:
        return f"{mail} was posted again by its provider, so it is not delivered twice: it came before and is kept"
    return f"{mail} arrived"


def _refused(of: Members) -> str:
    reason, door = str(of["reason"]), f"/inbound/{of['provider']}"
    if of["parked"]:
        return f"A post to {door} is parked, because of {reason}: look at it with relay parked show {of['parked']}"
    if of["status"]:
        return f"A post{_client(of)} to {door} was answered {of['status']}: {reason}"
    why = _REFUSALS[reason].format_map(of) if reason in _REFUSALS else reason
    return f"Mail{_by(of)} for {of['inbox']} was refused, because {why}"


def _delivered(of: Members) -> str:
    waits = "1 request that waits" if of["waits"] == 1 else f"{of['waits']} requests that wait"
    to = [waits] if of["waits"] else []
    if of["sockets"] or not to:
        to.insert(0, _count(of["sockets"], "socket"))
    return f"Mail for {of['inbox']} was handed to {' and '.join(to)}"


def _unheard(of: Members) -> str:
    return f"{_mail(of)} arrived while nobody listened; it is kept: read it in the inbox, or with since"


def _socket_opened(of: Members) -> str:
    return f"A socket opened and listens to {of['addresses']}"


def _socket_refused(of: Members) -> str:
    return f"A socket{_client(of)}{_for(of)} was refused with {of['code']}: {of['reason']}"


def _socket_closed(of: Members) -> str:
    if not of["code"]:
        return f"A socket{_for(of)} was closed by its client"
    advice = _CLOSES.get(str(of["code"]))
    return f"A socket{_for(of)} was closed with {of['code']}, {of['reason']}" + (f": {advice}" if advice else "")


def _replayed(of: Members) -> str:
    return f"A socket{_for(of)} that came back was sent {_count(of['messages'], 'message')} that it had missed"


def _gap(of: Members) -> str:
    if of["missing"]:
        return f"{_count(of['missing'], 'event')} could not be kept, because Redis was away or slow, and are not listed"
    where = f" of {of['inbox']}" if of["inbox"] else ""
    why = _GAPS.get(str(of["reason"]), of["reason"])
    return f"A listener was told that mail{where} is missing, because {why}"


def _near_miss(of: Members) -> str:
    inbox, near = of["inbox"], of["near"]
    return f"{inbox} arrived; you listen to {near}: reserve {inbox} and listen to it, or have mail sent to {near}"


def _mail(of: Members) -> str:
    return f"Mail{_size(of['size'])}{_by(of)} for {of['inbox']}"


def _for(of: Members) -> str:
    return f" for {of['addresses']}" if of["addresses"] else ""


def _client(of: Members) -> str:
    return f" from {of['client']}" if of["client"] else ""


def _by(of: Members) -> str:
    return f" from {of['from']}" if of["from"] else ""


def _trimmed(of: Members) -> str:
    went = f"{_count(of['messages'], 'message')}{_size(of['size'])}"
    return f"the oldest {went} made room: the account keeps at most{_size(of['limit']).removeprefix(' of')}"


def _size(size_bytes: Any) -> str:
    if not isinstance(size_bytes, int):
        return ""
    if size_bytes < _KIB:
        return f" of {size_bytes} bytes"
    return (
        f" of {size_bytes / _KIB:.1f} KiB" if size_bytes < _KIB * _KIB else f" of {size_bytes / _KIB**2:.1f} MiB"
    )


def _count(number: Any, thing: str) -> str:
    return f"1 {thing}" if number == 1 else f"{number} {thing}s"


_WRITERS: dict[str, Callable[[Members], str]] = {
    Kind.RECEIVED: _received,
    Kind.REFUSED: _refused,
    Kind.DELIVERED: _delivered,
    Kind.UNHEARD: _unheard,
    Kind.SOCKET_OPENED: _socket_opened,
    Kind.SOCKET_REFUSED: _socket_refused,
    Kind.SOCKET_CLOSED: _socket_closed,
    Kind.REPLAYED: _replayed,
    Kind.GAP: _gap,
    Kind.NEAR_MISS: _near_miss,
    Kind.TRIMMED: _trimmed,
}
