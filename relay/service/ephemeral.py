"""A service of somebody's tests, in a process of its own; it ends with them, also when they are killed.

``python -m relay.service.ephemeral``: secrets and domain on stdin, its URL on stdout, and the end with stdin. The
tests' side is ``relay/testing/ephemeral.py``, which starts it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from relay import logs, settings
from relay.service.serve import listening_socket, run_process

_CREDITS = 1_000_000


def main() -> int:
    """The exit code."""
    given = json.loads(sys.stdin.readline())
    account = {"id": "tests", "keys": [given["key"]], "address_credits": _CREDITS}
    with tempfile.TemporaryDirectory() as folder:
        accounts = Path(folder, "accounts.toml")
        accounts.touch(mode=0o600)
        accounts.write_text(
            "[[accounts]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in account.items())
        )
        loaded = settings.load(
            {},
            redis_url="memory://",
            accounts_file=accounts,
            domains=given["domain"],
            host="127.0.0.1",
            port=0,
            raw_secret=given["raw_secret"],
            drain_seconds=0,
        )
        logs.configure("console", "error")
        public = listening_socket(loaded.host, loaded.port)
        print(f"http://127.0.0.1:{public.getsockname()[1]}", flush=True)
        return run_process(loaded, public, None, parent_fd=sys.stdin.fileno())


if __name__ == "__main__":
    sys.exit(main())
