"""Posts that hold several events: each is read for itself, so that one that cannot be read loses no other.

Their providers repeat the whole batch after any answer but success: one poisoned event would hold up the rest for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from relay.errors import BadRequest
from relay.inbound.webhook.provider import (
    Delivery,
    Post,
    Unreadable,
    WrongWebhook,
)


def read_each(
    events: Sequence[Any],
    read: Callable[[Any], Delivery | None],
    post: Post,
    post_of: Callable[[bytes], bytes] = bytes,
) -> list[Delivery | Unreadable]:
    """The mails of a batch, in order, and what cannot be read.

    ``read`` returns None for an event that rightly carries no mail, and raises BadRequest. ``post_of`` makes of a JSON
    array the body that the provider posts; it is the array itself, if not given. Raises WrongWebhook when there are
    events, and all are of another webhook: one complaint then says it.
    """
    found: list[Delivery | Unreadable] = []
    problems: list[BadRequest] = []
    for event in events:
        try:
            delivery = read(event)
        except BadRequest as problem:
            problems.append(problem)
            wrong = isinstance(problem, WrongWebhook)
            found.append(Unreadable(str(problem), _post_of_one(event, post, post_of), once=wrong))
        else:
            found += [] if delivery is None else [delivery]
    if problems and len(problems) == len(events) and all(isinstance(one, WrongWebhook) for one in problems):
        raise WrongWebhook(str(problems[0]))
    return found


def _post_of_one(event: Any, post: Post, post_of: Callable[[bytes], bytes]) -> bytes:
    try:
        return post_of(orjson.dumps([event]))
    except TypeError:  # nested more deeply than orjson writes: the whole batch, of which the others are known then
        return post.body
