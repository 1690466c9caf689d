"""What a command loads: what it has no use for costs each start, and every process of a deployment."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Module -> whom it is for.
_OF_PROVIDERS = {"jwt", "cryptography.x509", "httpx2", "relay.service.outside", "relay.inbound.providers.ses"}
_OF_THE_SERVICE = {"starlette", "uvicorn", "redis", "relay.delivery", "relay.inbound"}


def loaded_by(module: str) -> set[str]:
    """The modules that are there when one has been imported, in a process of its own."""
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("relay.cli", {"relay.settings", "pydantic", "httpx2", "websockets", *_OF_THE_SERVICE}),
        ("relay.cli.wait", _OF_THE_SERVICE),
        ("relay.cli.listen", _OF_THE_SERVICE),
        ("relay.cli.check", {*_OF_THE_SERVICE, "websockets"}),
        ("relay.cli.serve", {*_OF_PROVIDERS, "relay.reference", "relay.builders", "relay.client"}),
    ],
)
def test_nothing_is_loaded_without_use(module: str, never: set[str]) -> None:
    assert loaded_by(module) & never == set()
