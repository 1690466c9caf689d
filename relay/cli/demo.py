"""``relay demo``: the whole service in this process, in memory, and a first mail through it.

Exit codes: 0 stopped by Ctrl-C, or with --once the mail has arrived; 1 it has not; 2 the port is not to be had.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
from typing import Annotated

import typer
import uvloop

from relay import logs, settings
from relay.cli import exits, walkthrough
from relay.cli.console import abandon_stdout, complain
from relay.cli.network import authority
from relay.errors import ConfigError, RelayError
from relay.service.app import Service
from relay.service.serve import Process, listening_socket
from relay.settings import Settings

_PORT = 8000
_DRAIN_SECONDS = 1.0

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="End when the first mail has arrived.")] = False,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help=f"TCP port; by default {_PORT}, or a free one if it is taken."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 in a container.")] = "127.0.0.1",
) -> None:
    """Run the service in memory and send a first mail through it.

    Makes an account, an API key and an address, all gone when it ends; prints
    how to send and how to listen; sends itself a mail and prints what a
    listener gets (with --once only that). RELAY_* variables are ignored.
    Ctrl-C ends it.

    Example:
      relay demo --once
    """
    public = _socket(host, port)
    loaded = _settings(host, public.getsockname()[1])
    logs.configure(loaded.log_format, loaded.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        raise typer.Exit(runner.run(_run(loaded, public, once=once)))


def _socket(host: str, port: int | None) -> socket.socket:
    """On the port asked for; when none was, on the usual one or else a free one. Raises ConfigError."""
    if port is not None:
        return listening_socket(host, port)
    try:
        return listening_socket(host, _PORT)
    except ConfigError:
        return listening_socket(host, 0)


def _settings(host: str, port: int) -> Settings:
    """Those of a demo, whatever the environment says."""
    return settings.load(
        {},
        host=host,
        port=port,
        domains=walkthrough.DOMAIN,
        raw_secret=secrets.token_urlsafe(12),
        drain_seconds=_DRAIN_SECONDS,
        log_format="console",
        log_level="warning",
    )


async def _run(loaded: Settings, public: socket.socket, *, once: bool) -> int:
    """Serves until told to stop; meanwhile shows. Returns the exit code."""
    started: asyncio.Future[Service] = asyncio.get_running_loop().create_future()
    process = Process(loaded, public, on_started=started.set_result)
    serving = asyncio.create_task(process.run(), name="demo.serve")
    showing = asyncio.create_task(_show(started, loaded, once=once), name="demo.show")

    def stop() -> None:
        showing.cancel()  # first: that its socket is closed now is no failure
        process.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await asyncio.wait((serving, showing), return_when=asyncio.FIRST_COMPLETED)
    shown = _outcome(showing)
    if once or shown != exits.DONE:
        stop()
    return await serving or shown


def _outcome(showing: asyncio.Task[None]) -> int:
    """The exit code as far as the showing goes; what is wrong is said."""
    if not showing.done() or showing.cancelled():
        return exits.DONE
    try:
        showing.result()
    except RelayError as error:
        complain(str(error))
        return exits.FAILED
    except OSError as error:  # of stdout: those of the network are RelayError by now
        abandon_stdout()
        complain(f"cannot print: {error.strerror}")
        return exits.FAILED
    return exits.DONE


async def _show(started: asyncio.Future[Service], loaded: Settings, *, once: bool) -> None:
    """Raises RelayError: the first mail did not arrive."""
    service = await started
    (secret,) = loaded.provider_secrets()["raw"]
    tour = await walkthrough.furnish(service.accounts, authority(loaded.host, loaded.port), secret)
    if not once:  # else nothing of it is there any more when somebody could copy it
        print(f"relay serves on http://{tour.authority}, in memory: all is gone when it ends.\n")
        tour.print()
    walkthrough.show(await tour.send_one())
    if not once:
        print(f"\nServing until Ctrl-C. The test page: {tour.page}", flush=True)
