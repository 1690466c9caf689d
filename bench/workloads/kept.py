"""How much of Redis' memory a kept mail takes, beside Centrifugo and nchan.

``used_memory`` of INFO, less the buffers of clients, before and after so many mails to one inbox that keeps all of
them; everything that was written for a mail is in it (index, journal, what recognises a repeat), and shared among the
mails. The first mails of the inbox are in neither number. relay gets the mail, the others its JSON.
"""

from __future__ import annotations

from bench import contestants
from bench.child import Broken, Lab
from bench.contestants import Contestant
from bench.cost import Reading
from bench.mail import MAILS, Mail
from bench.posting import Senders
from bench.redis_facts import RedisFacts
from bench.results import Plan, Section

_MAILS = {"3 KB": 500, "30 KB": 200, "1 MB": 20}  # of bench.mail, and how many
_FIRST = 10
_AT_ONCE = 4
_KB = 1000


def run(plan: Plan) -> list[Section]:
    """See above."""
    section = Section(
        "A kept mail",
        "KB of Redis' memory per mail of one inbox, and how many times the size of the mail that is.",
        ("mail", "contestant", "mails", "KB in Redis", "× the mail"),
    )
    mails = {name: MAILS[name]() for name in _MAILS}
    json = contestants.json_of(mails)
    for name, count in _MAILS.items():
        grown: dict[str, list[float]] = {}
        for _ in range(1 if plan.quick else plan.repeats):
            with Lab() as lab:
                section.notes.clear()  # who is missing is missing each time
                for one in contestants.all_of(lab, section, keep=count + _FIRST):
                    try:
                        size = _grown_bytes(lab, one, one.body(mails[name], json[name]), count)
                        grown.setdefault(one.name, []).append(size)
                    except Broken as error:
                        section.failed.append(f"{one.name}, {name}: {error}")
        for contestant, sizes in grown.items():
            reading = Reading.of([size / _KB for size in sizes])
            ratio = Reading.of([size / len(mails[name]) for size in sizes])
            section.readings |= {f"kept.{contestant}.{name}": reading, f"kept.{contestant}.{name}.ratio": ratio}
            section.rows.append((name, contestant, f"{count:,}", reading.text(2), ratio.text(2)))
    return [section]


def _grown_bytes(lab: Lab, one: Contestant, mail: Mail, count: int) -> float:
    """Of one mail."""
    assert one.redis is not None
    senders, facts = Senders(lab), RedisFacts(one.redis)
    senders.post(one.door, count=_FIRST, connections=_AT_ONCE, mail=mail, to=[one.to_all])
    before = facts.data_bytes()
    senders.post(one.door, count=count, connections=_AT_ONCE, mail=mail, to=[one.to_all])
    return (facts.data_bytes() - before) / count
