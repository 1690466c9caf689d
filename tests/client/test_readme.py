"""The README's program, as it stands there."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.harness import ADDRESS, KEY, Relay

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def running(script: Path) -> AsyncIterator[asyncio.StreamReader]:
    """What the program prints; it is killed in the end, as a crash would."""
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        script,
        stdout=asyncio.subprocess.PIPE,
        cwd=script.parent,
        env={"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "MAILSAC_KEY": KEY},
    )
    assert program.stdout is not None
    try:
        yield program.stdout
    finally:
        program.kill()
        await program.communicate()


async def test_the_program_of_the_readme_runs_and_resumes(relay: Relay, tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text().partition("\n## From Python\n")[2]
    program = section.partition("```python\n")[2].partition("```")[0]
    for told, real in (("https://relay.example.com", relay.url), ("user1@example.com", ADDRESS)):
        assert program.count(told) == 1
        program = program.replace(told, real)
    script = tmp_path / "program.py"
    script.write_text(program)
    async with running(script) as printed:
        while "listener.json" not in os.listdir(tmp_path):  # it is written when the service has confirmed
            await relay.ready()
        await relay.send("first")
        assert (await printed.readline()).decode() == f"{ADDRESS} first\n"
    await relay.send("meanwhile")
    async with running(script) as printed:
        while (line := (await printed.readline()).decode()) == f"{ADDRESS} first\n":
            pass  # at least once: it was killed before, or after, it was kept
        assert line == f"{ADDRESS} meanwhile\n"
