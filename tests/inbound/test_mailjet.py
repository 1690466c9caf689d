"""``POST /inbound/mailjet``: what cases cannot show: any input, the way through the door, and its cost in tries."""

from __future__ import annotations

import json
from typing import Any

from relay.inbound.providers.mailjet import Mailjet
from relay.inbound.webhook.provider import Answers
from tests.inbound.cases import FOLDER, read
from tests.inbound.contract import JsonContract, NamedByMailContract, SharedSecretContract, bodies_like
from tests.inbound.journey import filenames
from tests.inbound.posts import post

EVENT: dict[str, Any] = json.loads(read(FOLDER / "mailjet" / "attachments.http").body)

provider = Mailjet(("the-secret-of-the-url",))


def test_files_keep_their_names() -> None:
    [delivery] = provider.parse(post([], json.dumps(EVENT).encode()))
    assert filenames(delivery.raw) == ["über.txt", "image.png", None]


class TestMailjet(SharedSecretContract, JsonContract, NamedByMailContract):
    """What cannot be read is taken, for no try would end otherwise."""

    name = "mailjet"
    answers = Answers(not_proven=401, unreadable=200, too_large=413)
    called = "Mailjet"
    rebuilt = True
    bodies = bodies_like(EVENT)
