"""A Redis Cluster as one store: each command goes to the node that has its slot.

Not redis-py's RedisCluster: that one repeats commands of its own accord, has no time limit for a node that hangs while
it looks for the others, and runs a transaction on another event loop. What relay needs of a cluster is little: all
keys of a command share one slot, so a command has one node, and the nodes' own stores do the rest.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from redis.asyncio import Connection
from redis.crc import key_slot
from redis.exceptions import AskError, MovedError, ResponseError

from relay.errors import Unavailable
from relay.redis_url import Node
from relay.store.cluster_client import ClusterClient
from relay.store.script import ScriptCall
from relay.store.single import Command, Store

_SLOTS = 16384
_NODE_SHARE = 0.8  # of the time limit; the rest is for asking who has the slot, and for one redirect
_SCRIPTS = frozenset({"EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO"})
_KEYLESS = frozenset({"TIME", "PUBLISH", "PING", "INFO", "SCRIPT", "CLUSTER"})


class ClusterStore(Store):
    """The rules of a store, for a cluster. What it is asked is one batch for each node concerned.

    A node that is away costs the answers of its own slots only.
    """

    clustered = True

    def __init__(
        self,
        seeds: Sequence[Node],
        node: Callable[[Node, float], Store],
        *,
        timeout_seconds: float,
        where: str,
    ) -> None:
        """``node`` makes the store of one node, with a time limit in seconds."""
        super().__init__(ClusterClient(self._ask_unbatched), timeout_seconds=timeout_seconds, where=where)
        self._seeds = seeds
        self._make = node
        self._nodes: dict[Node, Store] = {
            seed: self._made(seed) for seed in seeds
        }  # those that failed last come last
        self._owners: list[Node | None] = [None] * _SLOTS
        self._current = False  # whether _owners is worth believing
        self._learning = asyncio.Lock()
        self._turn = random.SystemRandom().randrange(_SLOTS)

    async def _answers(self, commands: Sequence[Command], *, durable: bool) -> list[Any]:
        """As :meth:`Store._answers`; commands for several nodes are under way at once, in no order between nodes.

        The key of a command is its first argument, of a script the first of its keys.
        """
        try:
            async with asyncio.timeout(self._timeout_seconds):
                if not self._current:
                    await self._learn()
                return await self._scatter(commands, durable=durable)
        except TimeoutError as exc:
            raise self._unavailable(exc) from exc

    async def _ask_unbatched(self, commands: Sequence[Command]) -> list[Any]:
        return await self.ask_each(*commands)

    async def _scatter(self, commands: Sequence[Command], *, durable: bool) -> list[Any]:
        groups: dict[Node, list[int]] = {}
        for index, command in enumerate(commands):
            groups.setdefault(self._node_of(command), []).append(index)
        answers = await _all(
            self._ask_node(node, [commands[index] for index in indexes], durable=durable)
            for node, indexes in groups.items()
        )
        replies: list[Any] = [None] * len(commands)
        for indexes, answer in zip(groups.values(), answers, strict=True):
            for index, reply in zip(indexes, answer, strict=True):
                replies[index] = reply
        return replies

    async def _ask_node(self, node: Node, commands: Sequence[Command], *, durable: bool) -> list[Any]:
        try:
            replies = await self._nodes[node].ask_each(*commands, durable=durable)
        except Unavailable:
            self._failed(node)
            if any(_key_of(command) is not None for command in commands):
                raise
            # Any node will do, and twice is as good as once: what has no key changes nothing, or rings a bell.
            replies = await self._nodes[next(iter(self._nodes))].ask_each(*commands)
        for index, reply in enumerate(replies):
            if isinstance(reply, AskError):  # it was not done: asking elsewhere is no repetition
                replies[index] = await self._follow(reply, node, commands[index], durable=durable)
        return replies

    async def _follow(self, redirect: AskError, asked: Node, command: Command, *, durable: bool) -> Any:
        """The reply of the node that a redirect names. Once: a second redirect is a reply like another."""
        target = (redirect.host or asked[0], redirect.port)
        if target not in self._nodes:
            self._nodes[target] = self._made(target)
        store = self._nodes[target]
        if isinstance(redirect, MovedError):
            self._owners[redirect.slot_id] = target
            self._current = False  # slots rarely move alone
            return (await store.ask_each(command, durable=durable))[-1]
        if isinstance(command, ScriptCall):  # ASKING is good for one command: the script cannot be asked for again
            command = command.with_source()
        return (await store.ask_each(("ASKING",), command, durable=durable))[-1]

    def _node_of(self, command: Command) -> Node:
        key = _key_of(command)
        if key is None:
            return next(iter(self._nodes))
        node = self._owners[key_slot(key)]
        if node is None:
            self._current = False
            raise Unavailable("Redis Cluster has nobody for this part of its data now; try again")
        return node

    def _failed(self, node: Node) -> None:
        self._current = False  # another may have taken its slots over
        if node in self._nodes:
            self._nodes[node] = self._nodes.pop(node)

    async def _learn(self) -> None:
        """Asks the nodes, one after the other, who has which slot. Raises Unavailable."""
        async with self._learning:
            if self._current:
                return
            problem = Unavailable("Redis Cluster does not answer; try again")
            for node in list(self._nodes):
                try:
                    async with asyncio.timeout(self._timeout_seconds / (len(self._nodes) + 1)):
                        [reply] = await self._nodes[node].ask_each(("CLUSTER", "SLOTS"))
                    if isinstance(reply, ResponseError):
                        raise self._unavailable(reply)
                except (Unavailable, TimeoutError) as exc:
                    problem = exc if isinstance(exc, Unavailable) else problem
                    self._failed(node)
                    continue
                await self._learnt(node, reply)
                return
            raise problem

    async def _learnt(self, asked: Node, ranges: Sequence[Any]) -> None:
        """``ranges`` is the reply of CLUSTER SLOTS: first slot, last slot, master, replicas."""
        owners: list[Node | None] = [None] * _SLOTS
        for first, last, (host, port, *_), *_ in ranges:
            node = (host.decode() if host else asked[0], int(port))
            owners[first : last + 1] = [node] * (last + 1 - first)
        known = {node for node in owners if node}
        for node in known - self._nodes.keys():
            self._nodes[node] = self._made(node)
        self._owners, self._current = owners, True
        for node in self._nodes.keys() - known - set(self._seeds):
            await self._nodes.pop(node).close()

    def _made(self, node: Node) -> Store:
        return self._make(node, self._timeout_seconds * _NODE_SHARE)

    def with_own_queue(self) -> Store:
        """As :meth:`Store.with_own_queue`, to all nodes."""
        store = ClusterStore(self._seeds, self._make, timeout_seconds=self._timeout_seconds, where=self._where)
        self._beside.append(store)
        return store

    def own_connection(self) -> Connection:
        """As :meth:`Store.own_connection`, to any node, another each time: a publish reaches all of them."""
        self._turn += 1
        nodes = list(self._nodes.values())
        return nodes[self._turn % len(nodes)].own_connection()

    async def forget_idle_connections(self) -> None:
        for store in (*self._beside, *self._nodes.values()):
            await store.forget_idle_connections()

    async def close(self) -> None:
        for store in (*self._beside, *self._nodes.values()):
            await store.close()
        await self.client.aclose()


def _key_of(command: Command) -> bytes | None:
    name = str(command[0]).upper()
    if name in _KEYLESS:
        return None
    if name in _SCRIPTS:
        return _encoded(command[3]) if int(command[2]) else None
    return _encoded(command[1])


def _encoded(key: str | bytes | int) -> bytes:
    return key if isinstance(key, bytes) else str(key).encode()


async def _all(questions: Iterable[Awaitable[list[Any]]]) -> list[list[Any]]:
    """Waits for all, so that none is left behind, and then raises the first failure."""
    answers = await asyncio.gather(*questions, return_exceptions=True)
    done = []
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
        done.append(answer)
    return done
