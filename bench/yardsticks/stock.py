"""The stock way: Starlette under uvicorn, a queue per socket, a Redis subscription for each channel.

``python -m bench.yardsticks.stock PORT REDIS_URL``. It is what one would write with the documentation of
Starlette and redis-py open, and correct: it notices who leaves. No keys, no limits, no logs, no deflate, no pings,
as the relay that it is compared with. The server is set as relay's is: uvloop, httptools, websockets-sansio.
"""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis
import uvicorn
from redis import asyncio as aioredis
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from bench.child import Lab, free_port
from bench.mail import frame
from bench.wire import upgrade
from tests.redis_server import RedisServer

ALL = "all"
LISTEN_TO_ALL = upgrade(f"/listen/{ALL}")
LISTEN_TO_OWN = upgrade("/listen/a{index}")


class Stock:
    """A process with the stock way, and a publisher to its Redis."""

    name = "stock Starlette"

    def __init__(self, lab: Lab, server: RedisServer) -> None:
        self.port = free_port()
        self.redis_pid = server.pid
        self._publisher = redis.Redis.from_url(server.url)
        self.child = lab.python("bench.yardsticks.stock", str(self.port), server.url)
        self.child.ready_on(self.port)

    @property
    def pid(self) -> int:
        return self.child.pid

    def publish(self, frame_bytes: int, number: int) -> None:
        """One message to all sockets that listen to ALL."""
        self._publisher.publish(ALL, frame(frame_bytes, number))


def create_app(redis_url: str) -> Starlette:
    """The application, as small as it can be."""
    pubsub = aioredis.Redis.from_url(redis_url, decode_responses=True).pubsub()
    queues: defaultdict[str, set[asyncio.Queue[str]]] = defaultdict(set)

    async def read() -> None:
        async for event in pubsub.listen():
            if event["type"] == "message":
                for queue in queues[event["channel"]]:
                    queue.put_nowait(event["data"])

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await pubsub.subscribe("start")
        reader = asyncio.create_task(read())
        yield
        reader.cancel()

    async def send(websocket: WebSocket, queue: asyncio.Queue[str]) -> None:
        while True:
            await websocket.send_text(await queue.get())

    async def listen(websocket: WebSocket) -> None:
        channel = websocket.path_params["channel"]
        if channel not in queues:
            await pubsub.subscribe(channel)
        queue: asyncio.Queue[str] = asyncio.Queue()
        queues[channel].add(queue)
        await websocket.accept()
        sender = asyncio.create_task(send(websocket, queue))
        try:
            async for _ in websocket.iter_text():
                pass
        finally:
            sender.cancel()
            queues[channel].discard(queue)

    return Starlette(routes=[WebSocketRoute("/listen/{channel}", listen)], lifespan=lifespan)


def main(port: int, redis_url: str) -> None:
    """Serves until it is told to end."""
    uvicorn.run(
        create_app(redis_url), host="127.0.0.1", port=port, loop="uvloop", http="httptools",
        ws="websockets-sansio", ws_per_message_deflate=False, ws_ping_interval=3600, access_log=False,
        log_level="error", backlog=4096, timeout_graceful_shutdown=1,
    )  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
