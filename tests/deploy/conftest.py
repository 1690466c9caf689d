"""The service of the command's tests."""

from tests.cli.conftest import redis, service

__all__ = ["redis", "service"]
