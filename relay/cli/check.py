"""``relay check``: the probe of a container, in the container. It loads little, because it runs often.

Exit codes: 0 yes, 1 no, or the question could not be asked. Never 2 for a wrong setting: Docker reserves it.
"""

from __future__ import annotations

import http.client
import json
from typing import Annotated

import typer

from relay import settings
from relay.cli import exits
from relay.cli.console import complain, printable
from relay.cli.network import authority
from relay.errors import ConfigError
from relay.network import reason_of, split

_TIMEOUT_SECONDS = 3.0
_ANSWER_BYTES = 4096

app = typer.Typer(add_completion=False)


@app.command()
def check(
    *,
    url: Annotated[str, typer.Option(help="Base URL; by default of the RELAY_* settings.")] = "",
    ready: Annotated[bool, typer.Option("--ready", help="Ask whether it should get traffic now.")] = False,
) -> None:
    """Tell whether a service is alive, for containers.

    Asks /livez of the service that runs with these RELAY_* settings, or
    /readyz with --ready. Exit code 0 means yes, 1 means no.

    Example:
      relay check --ready --url http://127.0.0.1:8000
    """
    try:
        asked = (url or _own_url()).rstrip("/") + ("/readyz" if ready else "/livez")
        status, answer = _get(asked)
    except ConfigError as error:
        complain(*error.problems)
        raise typer.Exit(exits.FAILED) from error
    except (OSError, http.client.HTTPException) as error:
        complain(f"{asked} does not answer: {reason_of(error)}")
        raise typer.Exit(exits.FAILED) from error
    if status != 200:
        complain(f"{asked} answers {status}: {_why(answer)}")
        raise typer.Exit(exits.FAILED)
    print(f"{asked} answers: {'ready' if ready else 'alive'}")


def _own_url() -> str:
    """Where the service with our settings answers probes. Raises ConfigError."""
    own = settings.load()
    port = own.port if own.internal_port is None else own.internal_port
    if port == 0:
        raise ConfigError(["the port is 0, any free one: say which with --url http://127.0.0.1:<port>"])
    return f"http://{authority(own.host, port)}"


def _get(url: str) -> tuple[int, bytes]:
    """Status and beginning of the body. By http.client: no proxy may answer for us. Raises ConfigError."""
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    try:
        parts = split(url, kinds)
        connection = kinds[parts.scheme](parts.netloc.rpartition("@")[2], timeout=_TIMEOUT_SECONDS)
    except (ValueError, http.client.InvalidURL) as error:
        raise ConfigError(["--url must be such as http://127.0.0.1:8000"]) from error
    try:
        connection.request("GET", parts.path)
        response = connection.getresponse()
        return response.status, response.read(_ANSWER_BYTES)
    finally:
        connection.close()


def _why(answer: bytes) -> str:
    """What an answer of /readyz says is missing; else its first line."""
    text = answer.decode("utf-8", "replace")
    try:
        checks = json.loads(text)
        missing = [name for name, well in checks.items() if well is False and name != "ready"]
    except (ValueError, AttributeError):
        missing = []
    return printable(f"not ready: {', '.join(missing)}" if missing else next(iter(text.splitlines()), ""))
