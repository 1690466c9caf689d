"""What a redis-server says of itself (INFO, SLOWLOG): how much memory its data takes, and its longest command."""

from __future__ import annotations

import time

import redis

from tests.redis_server import RedisServer

_SETTLED_SECONDS = 0.5
_SETTLE_AT_MOST_SECONDS = 8.0
_SLOW_US = 500


class RedisFacts:
    """A connection of our own; what its clients take is not counted."""

    def __init__(self, server: RedisServer) -> None:
        self._client: redis.Redis = redis.Redis.from_url(server.url)

    def data_bytes(self) -> int:
        """``used_memory`` without the buffers of clients, when it has not grown or shrunk for half a second.

        A client's buffer is as large as its largest command for a while, and no part of what is kept.
        """
        last, since = self._used_bytes(), time.monotonic()
        until = since + _SETTLE_AT_MOST_SECONDS
        while time.monotonic() < min(since + _SETTLED_SECONDS, until):
            time.sleep(0.05)
            if abs((now := self._used_bytes()) - last) > 1024:
                last, since = now, time.monotonic()
        return last

    def begin_slow_log(self) -> None:
        """From here on :meth:`longest_command_ms` counts."""
        self._client.config_set("slowlog-log-slower-than", _SLOW_US)
        self._client.config_set("slowlog-max-len", 1024)
        self._client.slowlog_reset()

    def longest_command_ms(self) -> float:
        """Of one command; 0.0 = none took half a millisecond. While it runs nobody else is answered."""
        return max((int(entry["duration"]) for entry in self._client.slowlog_get(1024)), default=0) / 1000

    def _used_bytes(self) -> int:
        memory = self._client.info("memory")
        return int(memory["used_memory"]) - int(memory.get("mem_clients_normal", 0))
