"""Taking mail in: what a post of 3, 14 and 700 KB costs, 32 at once, into a real Redis; beside it an empty POST.

Cost is CPU time of the service's process from the first byte of a request to its answer (proof, MIME, JSON, Redis,
log line); threads count. Redis' own CPU time is a column of its own. Nobody listens. Every answer must accept its
mail: 200 from relay means that Redis has it. The floor is another process: the same server that answers an empty
POST with nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.child import Lab
from bench.cost import Meter, Reading
from bench.mail import MAILS, Mail
from bench.posting import Door, Senders
from bench.relays import Relays, inbox
from bench.results import Plan, Section
from bench.yardsticks import empty

AT_ONCE = 32
_ADDRESSES = 100
_POSTS = {"3 KB": 2_000, "14 KB": 1_500, "700 KB": 150}  # mails of bench.mail, and how many
_EMPTY_POSTS = 5_000


@dataclass(frozen=True, slots=True)
class Job:
    """What is posted, to whom."""

    name: str  # in the table, and of the readings
    posts: int
    pid: int
    door: Door
    redis_pid: int = 0
    mail: Mail | None = None


def run(plan: Plan) -> list[Section]:
    """See above."""
    section = Section(
        "Taking mail in",
        f"µs of CPU per post, {AT_ONCE} at once; posts a second as this machine did them, service, Redis and"
        " sender sharing its cores.",
        ("post", "posts", "µs per post", "µs of Redis", "posts/s", "× empty POST"),
    )
    with Lab() as lab:
        floor = empty.Empty(lab)
        relays = Relays(lab, addresses=_ADDRESSES, doors=1)
        senders = Senders(lab)
        relay = relays.door_in
        jobs = [Job("empty POST", _EMPTY_POSTS, floor.pid, empty.door(floor.port))]
        jobs += [
            Job(name, posts, relay.pid, relay.door, relays.redis.pid, MAILS[name]())
            for name, posts in _POSTS.items()
        ]
        for job in jobs:
            _measure(plan, section, senders, job)
    return [section]


def _measure(plan: Plan, section: Section, senders: Senders, job: Job) -> None:
    count = job.posts // 2 if plan.quick else job.posts
    costs_us: list[float] = []
    redis_us: list[float] = []
    rates: list[float] = []
    for _ in range(plan.repeats + 1):  # the first warms up
        with Meter(job.pid) as meter, Meter(job.redis_pid or job.pid) as redis:
            rates.append(count / _post(senders, job, count))
        costs_us.append(meter.cpu_ns / count / 1000)
        redis_us.append(redis.cpu_ns / count / 1000)
    cost = section.readings[f"ingest.{job.name}"] = Reading.of(costs_us[1:])
    floor = section.readings["ingest.empty POST"]
    section.rows.append(
        (
            job.name,
            f"{count:,}",
            cost.text(),
            Reading.of(redis_us[1:]).text() if job.mail else "–",
            Reading.of(rates[1:]).text(0),
            f"{cost.median / floor.median:.1f}",
        )
    )


def _post(senders: Senders, job: Job, count: int) -> float:
    """Seconds. Raises Broken when a mail was not accepted."""
    if not job.mail:
        return senders.post(job.door, count=count, connections=AT_ONCE).seconds
    to = [inbox(index) for index in range(_ADDRESSES)]
    return senders.post(job.door, count=count, connections=AT_ONCE, mail=job.mail, to=to).seconds
