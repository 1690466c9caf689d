"""What a provider's own part of a post costs: proof and parser, without HTTP, Redis and the log line.

CPU time of this process for ``verify`` and ``parse`` of the post that each builder (relay/builders/) makes of one
mail of 14 KB. MIME parsing is in it, because ``parse`` hands out a parsed mail; the rebuilding of a mail too, at
providers that do not post the original. Posts are made beforehand, each with another mail; every run takes them all.
"""

from __future__ import annotations

import gc
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

from starlette.datastructures import QueryParams

from bench.cost import Reading
from bench.mail import MAILS
from bench.results import Plan, Section
from relay import builders
from relay.builders import Built
from relay.inbound.providers import PROVIDERS
from relay.inbound.webhook.provider import (
    Delivery,
    Post,
    PostHeaders,
    Provider,
)

_MAIL = "14 KB"
_TO = "reader@mail.test"
_POSTS = 300


def run(plan: Plan) -> list[Section]:
    """See above."""
    section = Section(
        "A provider's own part",
        f"µs of CPU to verify and parse one post with a mail of {_MAIL}, in this process.",
        ("sender", "body", "posts", "verify", "parse", "both"),
    )
    for name in builders.names():
        _measure(plan, section, name)
    return [section]


def _measure(plan: Plan, section: Section, name: str) -> None:
    signing, verifying = builders.pair(name)
    provider, mail, now = PROVIDERS[name]((verifying,)), MAILS[_MAIL](), datetime.now(UTC)
    count = _POSTS // 2 if plan.quick else _POSTS
    posts = [
        _post(builders.build(name, mail.numbered(number), [_TO], signing, now), now) for number in range(count)
    ]
    problem = _problem(provider, posts[0])
    if problem:
        section.failed.append(f"{name}: {problem}")
        return
    runs = [(_verify_us(provider, posts), _parse_us(provider, posts)) for _ in range(plan.repeats + 1)][1:]
    both = section.readings[f"providers.{name}"] = Reading.of([sum(run) for run in runs])
    verify, parse = (Reading.of([run[place] for run in runs]) for place in range(2))
    section.rows.append(
        (name, f"{len(posts[0].body):,} B", f"{count:,}", verify.text(), parse.text(), both.text())
    )


def _post(built: Built, now: datetime) -> Post:
    headers = [(name.lower().encode(), value.encode()) for name, value in built.headers]
    return Post(PostHeaders(headers), QueryParams(urlsplit(built.target).query), built.body, now)


def _problem(provider: Provider, post: Post) -> str:
    """Why there is nothing to measure; "" when the mail comes out."""
    try:
        provider.verify(post)
        events = provider.parse(post)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is this provider's row
        return f"{type(error).__name__}: {error}"
    good = len(events) == 1 and isinstance(events[0], Delivery) and events[0].recipients == (_TO,)
    return "" if good else "the mail did not come out"


def _verify_us(provider: Provider, posts: list[Post]) -> float:
    gc.collect()
    began = time.process_time_ns()
    for post in posts:
        provider.verify(post)
    return (time.process_time_ns() - began) / len(posts) / 1000


def _parse_us(provider: Provider, posts: list[Post]) -> float:
    gc.collect()
    began = time.process_time_ns()
    for post in posts:
        provider.parse(post)
    return (time.process_time_ns() - began) / len(posts) / 1000
