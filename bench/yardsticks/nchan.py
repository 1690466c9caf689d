"""nginx with nchan, in C: one worker; a POST to a channel goes to all its WebSocket subscribers.

The CPU time is the worker's. It takes the POST itself: its cost per message has an ingest in it (no key, no MIME),
its cost per delivery has not. Handshakes have no key check, and a subscription inside the process only.
"""

from __future__ import annotations

import http.client
import os
import shutil
from pathlib import Path

from bench.child import Broken, Lab, free_port
from bench.mail import frame
from bench.wire import upgrade

ALL = "all"
LISTEN_TO_ALL = upgrade(f"/sub/{ALL}")
LISTEN_TO_OWN = upgrade("/sub/a{index}")

_MODULES = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/share/nginx/modules")
_MODULE = "ngx_nchan_module.so"
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
  client_max_body_size 2m;
  nchan_shared_memory_size 256m;
  keepalive_requests 1000000;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location ~ /pub/(\\w+)$ {{ nchan_publisher; nchan_channel_id $1; nchan_message_buffer_length 1; }}
    location ~ /sub/(\\w+)$ {{
      nchan_subscriber websocket; nchan_channel_id $1; nchan_subscriber_first_message newest;
    }}
  }}
}}
"""


def missing() -> str:
    """Why there is no nchan here; "" = there is."""
    if not shutil.which("nginx"):
        return "not installed: no nginx (Debian: nginx-light libnginx-mod-nchan)"
    if not _module():
        return "not installed: nginx has no nchan module (Debian: libnginx-mod-nchan)"
    return ""


class Nchan:
    """A process with nginx and nchan."""

    name = "nchan"

    def __init__(self, lab: Lab) -> None:
        self.port = free_port()
        folder = lab.folder / "nginx"
        folder.mkdir()
        configuration = folder / "nginx.conf"
        text = _CONFIGURATION.format(module=_module(), folder=folder, port=self.port)
        # As root nginx would drop to a user who may not enter the folder.
        configuration.write_text(f"user root;\n{text}" if os.geteuid() == 0 else text)
        nginx = shutil.which("nginx") or "nginx"
        self.child = lab.start("nginx", [nginx, "-p", str(folder), "-c", str(configuration), "-e", "stderr"])
        self.child.ready_on(self.port)
        self._http = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        self.publish(100, 0)  # the master listens before there is a worker; who answers is the worker
        self.pid = _worker_of(self.child.pid)

    def publish(self, frame_bytes: int, number: int) -> None:
        """One message to all sockets that listen to ALL."""
        self._http.request("POST", f"/pub/{ALL}", frame(frame_bytes, number), {"Content-Type": "text/plain"})
        answer = self._http.getresponse()
        answer.read()
        if answer.status not in (201, 202):  # 201: somebody listens; 202: nobody yet
            raise Broken(f"nchan answered {answer.status}")


def _module() -> str:
    found = (Path(folder) / _MODULE for folder in _MODULES)
    return next((str(path) for path in found if path.exists()), "")


def _worker_of(master_pid: int) -> int:
    children = Path(f"/proc/{master_pid}/task/{master_pid}/children").read_text().split()
    if len(children) != 1:
        raise Broken(f"nginx has {len(children)} workers, not one")
    return int(children[0])
