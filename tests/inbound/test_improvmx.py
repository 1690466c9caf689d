"""``POST /inbound/improvmx``: what cases cannot show: any input, the way through the door, and its cost in tries."""

from __future__ import annotations

import json
from typing import Any

from relay.inbound.providers.improvmx import ImprovMX
from relay.inbound.webhook.provider import Answers
from tests.inbound.cases import FOLDER, read
from tests.inbound.contract import JsonContract, NamedByMailContract, SharedSecretContract, bodies_like
from tests.inbound.journey import filenames
from tests.inbound.posts import post

EVENT: dict[str, Any] = json.loads(read(FOLDER / "improvmx" / "files.http").body)

provider = ImprovMX(("the-secret-of-the-url",))


def test_files_keep_their_names() -> None:
    [delivery] = provider.parse(post([], json.dumps(EVENT).encode()))
    assert filenames(delivery.raw) == ["screenshot.png", "über.csv", "note.txt", None, None]
    headers = dict(delivery.parts.headers)
    assert headers["message-id"] == "<CAF1@mail.example.org>"
    assert headers["return-path"] == "<joerg@example.org>"
    assert headers["date"] == "Sat, 21 Nov 2026 04:00:00 -0800"


class TestImprovMX(SharedSecretContract, JsonContract, NamedByMailContract):
    """What cannot be read is taken, for no try would end otherwise."""

    name = "improvmx"
    answers = Answers(not_proven=401, unreadable=200, too_large=413)
    called = "ImprovMX"
    rebuilt = True
    bodies = bodies_like(EVENT)
