"""redis-py's client for accounts/, where a store takes the place of its connections."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

Ask = Callable[[Sequence[Any]], Awaitable[list[Any]]]  # commands -> replies, errors among them


class ClusterClient(Redis):
    """One command, or a pipeline of commands for any nodes; no transactions: a script is one."""

    def __init__(self, ask: Ask) -> None:
        super().__init__()  # its pool stays empty
        self._ask = ask

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """What redis-py makes of the reply. Raises Unavailable, RedisError."""
        [reply] = await self._ask([args])
        return _read(self, args, options, reply)

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> _ClusterPipeline:
        """Raises NotImplementedError for a transaction: its commands would need one node."""
        if transaction:
            raise NotImplementedError("use a script")
        return _ClusterPipeline(self, self._ask)


class _ClusterPipeline(Pipeline):
    def __init__(self, client: ClusterClient, ask: Ask) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, False, None)
        self._ask = ask

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        stack, self.command_stack = self.command_stack, []
        if not stack:
            return []
        replies = await self._ask([args for args, _ in stack])
        results = []
        for (args, options), reply in zip(stack, replies, strict=True):
            try:
                results.append(_read(self, args, options, reply))
            except Exception as error:  # redis-py's promise: an item, or the first is raised
                if raise_on_error:
                    raise
                results.append(error)
        return results


def _read(client: Redis, args: Sequence[Any], options: Mapping[str, Any], reply: Any) -> Any:
    if isinstance(reply, Exception):
        raise reply
    callback = client.response_callbacks.get(args[0])
    return (
        callback(reply, **{name: value for name, value in options.items() if name != "keys"})
        if callback
        else reply
    )
