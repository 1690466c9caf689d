"""Centrifugo, in Go. Not measured: the row says why.

A run next to the others needs its binary on PATH, which no distribution packages, and a client that speaks its
protocol (a connect command before a socket gets anything), so that its sockets are not the same as the others'.
"""

from __future__ import annotations

import shutil


def missing() -> str:
    """Why it is not measured."""
    if not shutil.which("centrifugo"):
        return "not on PATH"
    return "on PATH, but there is no contestant for it yet: its sockets need a connect command of their own"
