"""The exit codes of every verb; README.md has the same table."""

from __future__ import annotations

DONE = 0
FAILED = 1
MISCONFIGURED = 2
TIMED_OUT = 3
REJECTED = 4
REFUSED = 5

# A paragraph a line, as rich help keeps them.
TABLE = """Exit codes:
  0  done, or stopped by Ctrl-C or SIGTERM
  1  failed: unreachable, refused or broken; the reason is on stderr
  2  the command line or a setting is wrong; every problem is on stderr
  3  listen, wait: --timeout passed
  4  send: the service has the post, but rejected a recipient; wait: the mail
     came, without a code or link
  5  listen, wait: the server says not to come back (4400, 4401, 4403)"""
