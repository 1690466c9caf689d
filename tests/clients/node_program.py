"""A program that runs under node: what it prints, line by line, and lines for it to read."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.node_packages import node

_LONGEST_LINE_BYTES = 1 << 24  # a mail's "raw" is one line


@dataclass
class NodeProgram:
    """Running, until its context ends. Its stderr goes where the test's goes: pytest shows it on failure."""

    process: Process

    async def line(self) -> str:
        """The next line of stdout, without its end. Fails when the program has ended instead."""
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        assert line, f"the program ended with {await self.process.wait()}; stderr tells why"
        return line.decode().removesuffix("\n")

    async def write(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        await self.process.stdin.drain()

    async def ended(self) -> tuple[int, str]:
        """The exit code of a program that ends by itself, and what was left to read."""
        assert self.process.stdout is not None
        rest = await self.process.stdout.read()
        return await self.process.wait(), rest.decode()


@asynccontextmanager
async def running(script: Path, **environment: str) -> AsyncIterator[NodeProgram]:
    """Starts ``node script``; it is gone afterwards."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAILSAC_")}
    process = await asyncio.create_subprocess_exec(
        node().program,
        str(script),
        stdin=PIPE,
        stdout=PIPE,
        limit=_LONGEST_LINE_BYTES,
        env=inherited | {"no_proxy": "*"} | environment,
    )
    try:
        yield NodeProgram(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
