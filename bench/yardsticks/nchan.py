"""nginx with nchan, in C: one worker; a POST to a channel goes to all its WebSocket subscribers.

The CPU time is the worker's. It takes the POST itself: its cost per message has an ingest in it (no key, no MIME),
its cost per delivery has not. Handshakes have no key check. Alone it keeps messages in its own memory and subscribes
inside the process only; with a Redis it keeps them there, and other processes with that Redis give them out too.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import time
from pathlib import Path

from bench import peers
from bench.child import Broken, Lab, free_port
from bench.mail import frame
from bench.posting import Door
from bench.wire import upgrade
from tests.redis_server import RedisServer

ALL = "all"
LISTEN_TO_ALL = upgrade(f"/sub/{ALL}")
LISTEN_TO_OWN = upgrade("/sub/a{index}")
LISTEN_FROM_FIRST = upgrade(f"/all-of/{ALL}")
_HEAD = "POST /pub/{to} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n"
_CONNECTS_SECONDS = 20.0  # to its Redis; meanwhile it answers 503

_CONFIGURATION = """
load_module {module};
worker_processes 1;
worker_rlimit_nofile 20000;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
events {{ worker_connections 19000; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_body_buffer_size 1m;
  client_max_body_size 128m;
  nchan_shared_memory_size 1024m;
  keepalive_requests 1000000;
  {upstream}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    nchan_message_buffer_length {keep};
    nchan_message_timeout 7d;
    location ~ /pub/(\\w+)$ {{ nchan_publisher; nchan_channel_id $1; {redis_pass} }}
    location ~ /sub/(\\w+)$ {{
      nchan_subscriber websocket; nchan_channel_id $1; nchan_subscriber_first_message newest; {redis_pass}
    }}
    location ~ /all-of/(\\w+)$ {{
      nchan_subscriber websocket; nchan_channel_id $1; nchan_subscriber_first_message oldest; {redis_pass}
    }}
  }}
}}
"""


def missing() -> str:
    """Why there is no nchan here; "" = there is."""
    return "" if all(peers.nchan()) else "no nginx with its module on this machine, nor in .peers/ (make peers)"


class Nchan:
    """A process with nginx and nchan."""

    def __init__(self, lab: Lab, redis: RedisServer | None = None, *, keep: int = 1) -> None:
        """``keep``: messages of a channel."""
        self.name = "nchan + Redis" if redis else "nchan"
        self.port = free_port()
        self.redis_pid = redis.pid if redis else 0
        self.door = Door(self.port, _HEAD)
        nginx, module = peers.nchan()
        folder = lab.folder / f"nginx-{self.port}"
        folder.mkdir()
        configuration = folder / "nginx.conf"
        text = _CONFIGURATION.format(
            module=module, folder=folder, port=self.port, keep=keep,
            upstream=f"upstream store {{ nchan_redis_server {redis.url}; }}" if redis else "",
            redis_pass="nchan_redis_pass store;" if redis else "",
        )  # fmt: skip
        # As root nginx would drop to a user who may not enter the folder.
        configuration.write_text(f"user root;\n{text}" if os.geteuid() == 0 else text)
        self.child = lab.start("nginx", [nginx, "-p", str(folder), "-c", str(configuration), "-e", "stderr"])
        self.child.ready_on(self.port)
        self._http = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        self._publish_the_first()  # the master listens before there is a worker; who answers is the worker
        self.pid = _worker_of(self.child.pid)

    def publish(self, frame_bytes: int, number: int) -> None:
        """One message to all sockets that listen to ALL."""
        self._publish(ALL, frame(frame_bytes, number))

    def _publish(self, channel: str, body: bytes) -> None:
        self._http.request("POST", f"/pub/{channel}", body, {"Content-Type": "text/plain"})
        answer = self._http.getresponse()
        answer.read()
        if answer.status not in (201, 202):  # 201: somebody listens; 202: nobody yet
            raise Broken(f"nchan answered {answer.status}")

    def _publish_the_first(self) -> None:
        until = time.monotonic() + _CONNECTS_SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(Broken):
                return self._publish("first", frame(100, 0))
            time.sleep(0.05)
        return self._publish("first", frame(100, 0))


def _worker_of(master_pid: int) -> int:
    children = Path(f"/proc/{master_pid}/task/{master_pid}/children").read_text().split()
    if len(children) != 1:
        raise Broken(f"nginx has {len(children)} workers, not one")
    return int(children[0])
