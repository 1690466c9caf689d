"""``relay activity``: why did nothing arrive? What happened lately, a line each, oldest first.

With a key an account's, from a service; without one everybody's, straight from Redis, for the operator.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import httpx2
import typer

from relay.activity import Journal, Page
from relay.address import BadAddress, canonical_address
from relay.cli import credential, exits
from relay.cli.console import abandon_stdout, complain, for_people, print_json, printable
from relay.cli.registry import on_redis
from relay.errors import RelayError, Unavailable
from relay.network import is_loopback, reason_of, split
from relay.settings import Settings
from relay.store import Store

app = typer.Typer(add_completion=False)

_AT_ONCE = 1000  # the most that a service gives at once
_WAIT_SECONDS = 30
_LOOK_SECONDS = 1.0
_ANSWER_SECONDS = 15.0  # beyond what a service was asked to wait
_PAUSES_SECONDS = (1.0, 2.0, 5.0)  # before the next try, while the service or Redis is away
_BAD_NEWS = frozenset({"refused", "unheard", "socket-refused", "gap", "near-miss", "trimmed"})

Printer = Callable[[dict[str, Any]], None]


@app.command()
def activity(
    *,
    url: Annotated[
        str, typer.Option(help="Base URL of the service that is asked, with a key.")
    ] = "http://127.0.0.1:8000",
    key: credential.Key = None,
    key_file: credential.KeyFile = None,
    account: Annotated[str, typer.Option(help="Without a key: only what is of this account.")] = "",
    inbox: Annotated[str, typer.Option(help="Only this address, near misses and sockets included.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=_AT_ONCE, help="Begin with so many, the newest.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens from now on.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print each event as JSON on one line.")] = False,
) -> None:
    """Tell why nothing arrived: what happened lately, oldest first.

    With a key it asks the service, and shows what is of the key's account.
    Without one it is for the operator: it needs RELAY_REDIS_URL, and shows
    what happened over all accounts, and what belongs to none, such as posts
    with a wrong secret. With --follow it goes on through restarts.

    Example:
      MAILSAC_KEY=your-key relay activity --url https://relay.example.com --follow
    """
    printer: Printer = print_json if json else _print_line
    inbox = _address(inbox)
    if key or key_file:
        if account:
            raise typer.BadParameter("is for the operator; a key has one account", param_hint="--account")
        proof = credential.read(key, key_file, option="--key", variable="MAILSAC_KEY")
        service = _Service(_base(url), proof, inbox)
        code = asyncio.run(_until_told(_print(service.page, limit, printer, of=inbox, follow=follow)))
    else:

        async def show(store: Store, loaded: Settings) -> int:
            journal = Journal(store, keep_seconds=loaded.keep_seconds)
            source = _Redis(journal, account or None, inbox)
            whose = " in account ".join(filter(None, (inbox, account))) if inbox else account
            return await _until_told(_print(source.page, limit, printer, of=whose, follow=follow))

        code = on_redis(show, instead="; with --url and a key that process tells what is of an account")
    raise typer.Exit(code)


def _base(url: str) -> str:
    try:
        return split(url, ("http", "https")).geturl().rstrip("/")
    except ValueError as error:
        raise typer.BadParameter("must be such as http://127.0.0.1:8000", param_hint="--url") from error


def _address(inbox: str) -> str:
    try:
        return canonical_address(inbox) if inbox else ""
    except BadAddress as error:
        raise typer.BadParameter(str(error), param_hint="--inbox") from error


async def _until_told(printing: Coroutine[Any, Any, None]) -> int:
    """The exit code of ``printing``, or of being stopped by SIGINT or SIGTERM."""
    task = asyncio.ensure_future(printing)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        pass
    except BrokenPipeError:
        abandon_stdout()
    return exits.DONE


async def _print(
    page_of: Callable[[int, str], Awaitable[Page]], limit: int, printer: Printer, *, of: str, follow: bool
) -> None:
    """``of``: what was asked for, "" = all. Raises RelayError: the first look fails, or coming back makes no sense."""
    page = await page_of(limit, "")
    if of and not page.events:
        complain(f"no events of {of} are kept; is it spelt right?")
    failures = 0
    while True:
        for event in reversed(page.events):
            printer(event)
        if not follow:
            return
        try:
            page = await page_of(_AT_ONCE, page.cursor)
            failures = 0
        except Unavailable as error:
            if not failures:
                complain(f"{error}; trying again")
            await asyncio.sleep(_PAUSES_SECONDS[min(failures, len(_PAUSES_SECONDS) - 1)])
            failures += 1
            page = Page([], page.cursor)


@dataclass(frozen=True, slots=True)
class _Service:
    """What a service tells of an account."""

    base: str
    key: str
    inbox: str

    async def page(self, limit: int, since: str) -> Page:
        """Waits for events behind a cursor. Raises Unavailable: try again; RelayError: that would not help."""
        query = {"limit": str(limit), "inbox": self.inbox}
        wait_seconds = _WAIT_SECONDS if since else 0
        if since:
            query |= {"since": since, "wait": str(wait_seconds)}
        url = f"{self.base}/api/activity"
        trust_env = not is_loopback(self.base)
        try:
            async with httpx2.AsyncClient(timeout=wait_seconds + _ANSWER_SECONDS, trust_env=trust_env) as http:
                answer = await http.get(url, params=query, headers={"mailsac-key": self.key})
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Unavailable(f"cannot ask {url}: {reason_of(error)}") from error
        if answer.status_code == 200:
            return _page(url, answer)
        text = f"{url} answers {answer.status_code}: {_why(answer)}"
        passes = answer.status_code == 429 or answer.status_code >= 500
        raise Unavailable(text) if passes else RelayError(text)


def _page(url: str, answer: httpx2.Response) -> Page:
    try:
        page = answer.json()
        return Page([dict(event) for event in page["events"]], str(page["cursor"]))
    except (ValueError, KeyError, TypeError) as error:
        raise RelayError(f"{url} answers 200, but not as relay does; is it the right service?") from error


def _why(answer: httpx2.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase


@dataclass(frozen=True, slots=True)
class _Redis:
    """What Redis keeps, of one account or over all."""

    journal: Journal
    account: str | None
    inbox: str

    async def page(self, limit: int, since: str) -> Page:
        """Looks until there is something behind a cursor. Raises Unavailable."""
        while True:
            page = await self.journal.page(
                self.account, limit=limit, since=since, inbox=self.inbox, names_accounts=True
            )
            if page.events or not since:
                return page
            since = page.cursor
            await asyncio.sleep(_LOOK_SECONDS)


def _print_line(event: dict[str, Any]) -> None:
    """Time, kind, account where it is told, sentence."""
    kind, account, text = (printable(str(event.get(name, ""))) for name in ("kind", "account", "text"))
    when = _time(event.get("time"))
    if not for_people():
        print(when, kind, account, text, sep="\t", flush=True)
        return
    colour = typer.colors.YELLOW if kind in _BAD_NEWS else typer.colors.GREEN
    whose = f"{account}: " if account else ""
    print(f"{when}  {typer.style(f'{kind:<14}', fg=colour)}  {whose}{text}", flush=True)


def _time(text: Any) -> str:
    """To the second, in UTC, so that it can be compared with the service's log."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, TypeError):
        return "-"
