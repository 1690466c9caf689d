"""pytest fixtures for programs that send mail: a fresh address for each test, and the mail that comes to it.

In a test, with nothing to be said in a conftest.py::

    def test_sign_up(relay_inbox):
        sign_up(email=relay_inbox.address)
        mail = relay_inbox.wait(subject="Confirm")
        confirm(mail.code)  # or mail.links[0]

Without an option the service runs beside the tests, in memory, on a free port of loopback; let your program post its
mail to ``relay_service.url`` as the README shows for ``/inbound/raw``, or hand one over with ``relay_inbox.post``. With
``--relay-url``, ``--relay-domain`` and a key (MAILSAC_KEY or ``--relay-key-file``) it is one that runs already.

pytest loads this module in every project of an environment that has it. So it stands still until a fixture is asked
for: what the fixtures need is imported then.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from relay.testing import options

if TYPE_CHECKING:
    from relay.client.inbox import Inbox, Mail, NothingCame
    from relay.testing.inbox import TestInbox
    from relay.testing.service import RelayService

__all__ = ["Inbox", "Mail", "NothingCame", "RelayService", "TestInbox"]

_HOMES = {
    "Inbox": "relay.client.inbox",
    "Mail": "relay.client.inbox",
    "NothingCame": "relay.client.inbox",
    "RelayService": "relay.testing.service",
    "TestInbox": "relay.testing.inbox",
}


def __getattr__(name: str) -> Any:
    """What ``__all__`` names, imported when a test imports it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, each also a setting of pytest.ini under the name with underscores."""
    options.add(parser)


@pytest.fixture(scope="session")
def relay_service(pytestconfig: pytest.Config) -> Iterator[RelayService]:
    """The service of all tests of this run."""
    from relay.testing.service import service_of

    with service_of(pytestconfig) as service:
        yield service


@pytest.fixture
def relay_inbox(relay_service: RelayService) -> Iterator[TestInbox]:
    """A fresh address; released, with its mail, when the test has ended."""
    from relay.testing.inbox import fresh_inbox

    with fresh_inbox(relay_service) as inbox:
        yield inbox
