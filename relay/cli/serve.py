"""``relay serve``: the service, from RELAY_* settings and flags, until SIGTERM or SIGINT.

Exit codes: 0 stopped on request, 1 something failed that should not, 2 the configuration is wrong.
"""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal, NoReturn

import structlog
import typer

from relay import logs, settings
from relay.cli import exits
from relay.cli.network import url_of
from relay.service import weak_secrets, workers
from relay.service.serve import open_sockets

log = structlog.get_logger()
app = typer.Typer(add_completion=False)


@app.command()
def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 picks a free one.")] = None,
    internal_port: Annotated[int | None, typer.Option(help="Own port for /livez, /readyz, /metrics.")] = None,
    workers_: Annotated[int | None, typer.Option("--workers", help="Processes; over 1 needs Redis.")] = None,
    accounts_file: Annotated[Path | None, typer.Option(help="TOML file with accounts.")] = None,
    drain_seconds: Annotated[float | None, typer.Option(help="Time to close sockets after SIGTERM.")] = None,
    log_format: Annotated[Literal["json", "console"] | None, typer.Option(help="Form of the logs.")] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None, typer.Option(help="Least level that is logged.")
    ] = None,
) -> None:
    """Run the service.

    Every flag wins over the RELAY_ variable of its name, such as RELAY_PORT.
    Secrets have no flags, because `ps` shows a command line to everybody:
    set RELAY_REDIS_URL and RELAY_RAW_SECRET. Logs go to stderr.
    SIGHUP reads the accounts file and secrets in files again.

    Example:
      RELAY_RAW_SECRET=change-me relay serve --accounts-file accounts.toml
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)  # until the service takes them; as PID 1 we could not be stopped otherwise
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the service takes it: to reload
    read = partial(
        settings.load,
        host=host,
        port=port,
        internal_port=internal_port,
        workers=workers_,
        accounts_file=accounts_file,
        drain_seconds=drain_seconds,
        log_format=log_format,
        log_level=log_level,
    )
    loaded = read()
    logs.configure(loaded.log_format, loaded.log_level, forks=loaded.workers > 1)
    for old, new in settings.renamed().items():
        log.warning(
            "setting.renamed", setting=old, hint=f"set {new} instead: the old name is read by this version only"
        )
    weak_secrets.tell(loaded)
    public, internal = open_sockets(loaded)
    url, internal_url = url_of(public), internal and url_of(internal)
    log.info("service.listening", url=url, internal_url=internal_url, test_page=f"{url}/")
    try:
        raise typer.Exit(workers.run(loaded, public, internal, again=read))
    finally:
        for sock in filter(None, (public, internal)):
            sock.close()


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(exits.DONE)
