"""The programs that some tests need and no lock brings everywhere, and what becomes of a test where one is missing.

It is skipped, and one line at the end of the run says how many were and what to install. In CI (``CI=true``) it fails:
nobody reads there what was skipped.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

_LACKS = "lacks"  # the name of a report's property, which xdist carries from its processes to the one that prints


@dataclass(frozen=True)
class Tool:
    """``name`` follows "for want of"; the first of ``programs`` that PATH has is taken; ``remedy`` installs it."""

    name: str
    programs: tuple[str, ...]
    remedy: str

    def find(self) -> str | None:
        """The program's path; None when PATH has none of its names."""
        return next((found for program in self.programs if (found := shutil.which(program))), None)

    def need(self) -> str:
        """The program's path. Raises Missing."""
        found = self.find()
        if found is None:
            raise Missing(self)
        return found


class Missing(RuntimeError):
    """A tool that is not here. The text says what to install."""

    def __init__(self, tool: Tool) -> None:
        super().__init__(f"for want of {tool.name}: {tool.remedy}")
        self.tool = tool


BROWSER = Tool(
    "a browser",
    ("chromium", "chromium-browser", "google-chrome"),
    "apt-get install chromium, or .venv/bin/playwright install --with-deps chromium",
)
CURL = Tool("curl", ("curl",), "apt-get install curl")
# These come with requirements-dev.lock, but not for every platform and Python.
HELM = Tool("helm", ("helm",), "install Helm 3 into PATH")
JAVA = Tool("Java 11 or newer", ("java",), "apt-get install default-jre-headless")
NGINX = Tool("nginx", ("nginx",), "apt-get install nginx-light")
NODE = Tool("Node.js", ("node",), "install Node.js 20 or newer, with npm, into PATH")
REDIS = Tool("redis-server", ("redis-server",), "apt-get install redis-server")
# The redis-server that comes with the lock was built without it.
REDIS_WITH_TLS = Tool("a redis-server with TLS", ("redis-server",), "apt-get install redis-server")


@contextmanager
def skipping(item: pytest.Item) -> Iterator[None]:
    """Around a test or its fixtures: makes Missing a skip, in CI a failure."""
    try:
        yield
    except Missing as missing:
        if os.environ.get("CI", "").lower() in ("true", "1"):
            raise pytest.fail.Exception(str(missing), pytrace=False) from None
        item.user_properties.append((_LACKS, f"for want of {missing.tool.name} ({missing.tool.remedy})"))
        raise pytest.skip.Exception(str(missing)) from None


def summary(skipped: Iterable[pytest.TestReport]) -> str:
    """One line; "" when no test was skipped for want of a tool."""
    lacks = Counter(value for report in skipped for name, value in report.user_properties if name == _LACKS)
    parts = ", ".join(f"{count} {lack}" for lack, count in lacks.most_common())
    return f"{lacks.total()} skipped: {parts}" if parts else ""
