"""``relay parked``: dead letters, posts that a provider proved and nobody could read. Works on Redis, by RELAY_*.

Exit codes of ``retry``: 0 all are read and delivered, 1 one cannot be read or is not there, 4 a recipient rejected.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from starlette.datastructures import QueryParams

from relay.activity import Journal, Recorder
from relay.cli import exits, table
from relay.cli.console import abandon_stdout, complain, print_json
from relay.cli.registry import iso, on_redis
from relay.confined import Confined
from relay.delivery.bus import Bus
from relay.errors import RelayError, Unavailable
from relay.inbound.intake import Intake, Observer, Report
from relay.inbound.providers import PROVIDERS
from relay.inbound.webhook.provider import Post, PostHeaders, Provider
from relay.metrics import Metrics
from relay.queues.fetches import Fetches
from relay.queues.parked import Parked, ParkedPost, is_id
from relay.settings import Settings
from relay.store import Store
from relay.work_bytes import WorkBytes

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="""List, show, retry and drop mail that could not be read.

    Needs RELAY_REDIS_URL. After an update that mends a parser,
    `relay parked retry --all` brings the mail in.

    Example:
      relay parked list""",
)
_Id = Annotated[str, typer.Argument(metavar="ID", help="As `relay parked list` shows it.")]
_Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="As `relay parked list` shows them.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(*, json: _Json = False) -> None:
    """List what is parked, oldest first.

    Example:
      relay parked list --json
    """
    posts = on_redis(lambda store, _: Parked(store).list())
    if json:
        print_json([_as_json(post) for post in posts])
        return
    rows = [(post.id, _age(post), post.provider, str(post.size_bytes), post.reason) for post in posts]
    table.show(("id", "age", "provider", "bytes", "reason"), rows, nothing="nothing is parked")


@app.command()
def show(
    post_id: _Id,
    *,
    headers: Annotated[bool, typer.Option("--headers", help="Print what is known beside it, as JSON.")] = False,
) -> None:
    """Print the bytes of a body, as they came.

    Example:
      relay parked show 1f2e3d4c5b6a7988 > body.bin
    """
    post, body = on_redis(lambda store, _: _with_body(Parked(store), post_id))
    if headers:
        print_json(_as_json(post) | {"headers": post.headers})
        return
    try:
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        abandon_stdout()


@app.command()
def retry(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID...]", help="As `relay parked list` shows them.")
    ] = None,
    *,
    all_: Annotated[bool, typer.Option("--all", help="All that is parked.")] = False,
    json: _Json = False,
) -> None:
    """Read them again and deliver; what has been read is parked no more.

    The proof was checked when it came. What cannot be read stays, and so
    does what every recipient rejects. Exit code 0: all is delivered.

    Example:
      relay parked retry --all
    """
    if bool(ids) == all_:
        raise typer.BadParameter("give ids, or --all")
    outcomes = on_redis(lambda store, loaded: _retry_each(store, loaded, ids))
    for outcome in outcomes:
        if json:
            print_json(outcome.shown())
        else:
            outcome.tell()
    raise typer.Exit(max((outcome.code for outcome in outcomes), key=_GRAVITY.index, default=exits.DONE))


@app.command()
def drop(ids: _Ids, *, json: _Json = False) -> None:
    """Forget them for good.

    Example:
      relay parked drop 1f2e3d4c5b6a7988
    """
    dropped = on_redis(lambda store, _: _drop(Parked(store), ids))
    if json:
        print_json({"dropped": dropped})
    else:
        for post_id in dropped:
            print(f"{post_id} is dropped")
    if missing := [post_id for post_id in ids if post_id not in dropped]:
        complain(*map(_not_there, missing))
        raise typer.Exit(exits.FAILED)


_GRAVITY = (exits.DONE, exits.REJECTED, exits.FAILED)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one id."""

    id: str
    report: Report | None = None  # None: nothing was delivered
    problem: str = ""  # why not, or "" when all is well

    @property
    def code(self) -> int:
        if self.problem:
            return exits.FAILED
        return exits.REJECTED if self.report and self.report.rejected else exits.DONE

    def shown(self) -> dict[str, Any]:
        report = self.report or Report()
        shown = {"id": self.id, "accepted": report.accepted, "rejected": report.rejected, "parked": report.parked}
        shown |= {"fetching": report.fetching} if report.fetching else {}
        return shown | ({"error": self.problem} if self.problem else {})

    def tell(self) -> None:
        report = self.report or Report()
        for accepted in report.accepted:
            print(f"{self.id}: accepted for {accepted['inbox']}: {accepted['_id']}")
        for rejected in report.rejected:
            print(f"{self.id}: rejected for {rejected['inbox']}: {rejected['reason']}")
        if self.problem:
            complain(f"{self.id}: {self.problem}")
        elif report.fetching:
            print(f"{self.id}: is being fetched by the service again")
        elif not report.accepted and not report.rejected:
            print(f"{self.id}: read, and there is no mail in it")


async def _retry_each(store: Store, loaded: Settings, ids: Sequence[str] | None) -> list[_Outcome]:
    room = Parked(store)
    bus = Bus(store, loaded.retention, restore=_nothing)
    metrics, journal = Metrics(), Journal(store, keep_seconds=loaded.keep_seconds)
    activity = Recorder(store, journal, metrics)
    confined = Confined()
    intake = Intake(
        bus,
        room,
        Fetches(store),
        Observer(metrics, activity),
        work=WorkBytes(loaded.work_bytes, largest_bytes=loaded.max_message_bytes),
        confined=confined,
        fetched_from=loaded.api_keys(),
        max_message_bytes=loaded.max_message_bytes,
    )
    posts = {post.id: post for post in await room.list()}
    outcomes = []
    with closing(confined):
        for post_id in dict.fromkeys(posts if ids is None else ids):
            post = posts.get(post_id)
            if post is None:
                outcomes.append(_Outcome(post_id, problem=_reason(post_id)))
            elif make := PROVIDERS.get(post.provider):
                provider = make(loaded.provider_secrets().get(post.provider, ()))
                outcomes.append(await _retry(room, intake, provider, post))
            else:
                outcomes.append(_Outcome(post_id, problem=f"there is no provider {post.provider}"))
    await activity.flush()
    return outcomes


async def _retry(room: Parked, intake: Intake, provider: Provider, post: ParkedPost) -> _Outcome:
    """Raises Unavailable; what was delivered before it is known when it is tried again."""
    body = await room.body(post)
    if body is None:
        return _Outcome(post.id, problem=_reason(post.id))
    try:
        report = await intake.take(provider, _as_it_came(post, body), proven=True)
    except Unavailable:
        raise
    except RelayError as error:
        return _Outcome(post.id, problem=f"still cannot be read: {error}")
    still = [one["reason"] for one in report.parked if one["id"] == post.id]
    if still:
        return _Outcome(post.id, report, problem=f"still cannot be read: {still[0]}")
    if report.accepted or not report.rejected:  # else its recipients may be reserved yet
        await room.drop(post)
    again = ", ".join(one["id"] for one in report.parked)
    return _Outcome(post.id, report, problem=f"a part still cannot be read, parked as {again}" if again else "")


def _as_it_came(post: ParkedPost, body: bytes) -> Post:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in post.headers]
    return Post(PostHeaders(headers), QueryParams(), body, post.received)


async def _nothing() -> bool:
    """The accounts file is the service's to apply."""
    return False


async def _with_body(room: Parked, post_id: str) -> tuple[ParkedPost, bytes]:
    for post in await room.list():
        if post.id == post_id and (body := await room.body(post)) is not None:
            return post, body
    raise RelayError(_not_there(post_id))


async def _drop(room: Parked, ids: Iterable[str]) -> list[str]:
    wanted = set(ids)
    return [post.id for post in await room.list() if post.id in wanted and await room.drop(post)]


def _not_there(post_id: str) -> str:
    return f"{post_id}: {_reason(post_id)}"


def _reason(post_id: str) -> str:
    return "nothing of this id is parked" if is_id(post_id) else "is no id: 16 hex digits, see relay parked list"


def _age(post: ParkedPost) -> str:
    """Two digits or so: it is for a glance."""
    seconds = max(time.time() - post.received.timestamp(), 0)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _as_json(post: ParkedPost) -> dict[str, Any]:
    return {
        "id": post.id,
        "provider": post.provider,
        "received": iso(round(post.received.timestamp() * 1000)),
        "size_bytes": post.size_bytes,
        "reason": post.reason,
    }
