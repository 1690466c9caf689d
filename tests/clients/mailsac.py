"""Mailsac's own JavaScript client, for the tests of its calls."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients.node_program import NodeProgram, running
from tests.harness import Relay


@dataclass
class Mailsac:
    """The client of one key: ``await mailsac("addresses.getAddress", …)`` gives status and data."""

    program: NodeProgram

    async def __call__(self, method: str, *arguments: Any) -> tuple[int, Any]:
        await self.program.write(json.dumps([method, *arguments]))
        answer = json.loads(await self.program.line())
        return answer["status"], answer["data"]

    async def refused(self, method: str, *arguments: Any) -> int:
        """The status of a call that fails, and says why."""
        status, data = await self(method, *arguments)
        assert data["error"], data
        assert data["message"], data
        return status


@asynccontextmanager
async def client(relay: Relay, node_folder: Path, key: str) -> AsyncIterator[Mailsac]:
    script = node_folder / "mailsac.js"
    async with running(script, MAILSAC_BASE_URL=f"{relay.url}/api", MAILSAC_KEY=key) as program:
        yield Mailsac(program)
