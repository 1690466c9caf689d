"""The queue with leases beside a plain model of it: whatever two processes do in whatever order, they agree."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from relay import store
from relay.errors import TooLarge
from relay.queues.lease import LeasedEntry, LeaseQueue, QueueFull
from relay.store import Store
from tests.queues.stored import let_time_pass

LEASE_SECONDS = 120
MAX_ENTRIES = 4
MAX_BYTES = 60
# Steps of time are minutes, so the moments that a run itself takes decide nothing.
MINUTES = st.sampled_from([60, 120, 300])
SLACK_SECONDS = 30
WHO = st.integers(0, 1)
IDS = st.sampled_from("abcdef")
STATE = st.none() | st.binary(max_size=25)

Reply = TypeVar("Reply")


@dataclass
class Entry:
    """What the model knows of an entry; times in seconds of the model's clock."""

    state: bytes
    mail: bytes
    until: int
    due: int
    token: str = ""
    tries: int = 0


class TwoProcesses(RuleBasedStateMachine):
    """Two queues at one key, and the model."""

    leases = Bundle("leases")

    def __init__(self, run: asyncio.Runner, stores: tuple[Store, Store], key: str) -> None:
        super().__init__()
        self._runner = run
        self._store = stores[0]
        self._key = key
        self._queues = [
            LeaseQueue(one, key, labels=("owner",), contents=("state", "mail"), lease_seconds=LEASE_SECONDS)
            for one in stores
        ]
        self._now = 0
        self._entries: dict[str, Entry] = {}

    def _run(self, asking: Awaitable[Reply]) -> Reply:
        async def awaited() -> Reply:
            return await asking

        return self._runner.run(awaited())

    def _ours(self, lease: LeasedEntry) -> Entry | None:
        """The entry, when the token is good."""
        entry = self._entries.get(lease.id)
        return entry if entry and entry.token == lease.token else None

    @property
    def _bytes(self) -> int:
        return sum(len(entry.state) + len(entry.mail) for entry in self._entries.values())

    @rule(who=WHO, entry_id=IDS, mail=st.binary(max_size=MAX_BYTES + 5), keep=st.just(0) | MINUTES)
    def add(self, who: int, entry_id: str, mail: bytes, keep: int) -> None:
        fields = {"owner": entry_id.encode(), "state": b"", "mail": mail}
        adding = self._queues[who].add(
            entry_id, fields, keep_seconds=keep, max_entries=MAX_ENTRIES, max_bytes=MAX_BYTES
        )
        if len(mail) > MAX_BYTES:
            with pytest.raises(TooLarge):
                self._run(adding)
        elif entry_id in self._entries:
            assert not self._run(adding)
        elif len(self._entries) >= MAX_ENTRIES or self._bytes + len(mail) > MAX_BYTES:
            with pytest.raises(QueueFull):
                self._run(adding)
        else:
            assert self._run(adding)
            self._entries[entry_id] = Entry(b"", mail, until=self._now + keep, due=self._now)

    @rule(target=leases, who=WHO)
    def take(self, who: int) -> object:
        found = self._run(self._queues[who].take())
        assert self._queues[who].waiting == len(self._entries)
        next_due = min((entry.due for entry in self._entries.values()), default=None)
        if isinstance(found, float):
            left = float("inf") if next_due is None else next_due - self._now
            assert left - SLACK_SECONDS < found <= left or found == left > 0
            return multiple()
        assert next_due is not None
        entry = self._entries[found.id]
        assert entry.due == next_due <= self._now
        entry.due, entry.token, entry.tries = self._now + LEASE_SECONDS, found.token, entry.tries + 1
        fields = {"owner": found.id.encode(), "state": entry.state, "mail": entry.mail}
        assert (found.fields, found.tries, found.overdue) == (fields, entry.tries, self._now >= entry.until)
        return found

    @rule(who=WHO, lease=leases, state=STATE)
    def hold(self, who: int, lease: LeasedEntry, state: bytes | None) -> None:
        entry = self._ours(lease)
        assert self._run(self._queues[who].hold(lease, noted(state))) == bool(entry)
        if entry:
            entry.due = self._now + LEASE_SECONDS
            entry.state = entry.state if state is None else state

    @rule(who=WHO, lease=leases, seconds=st.just(0) | MINUTES, state=STATE)
    def put_back(self, who: int, lease: LeasedEntry, seconds: int, state: bytes | None) -> None:
        entry = self._ours(lease)
        done = self._run(self._queues[who].put_back(lease, seconds=seconds, contents=noted(state)))
        assert done == bool(entry)
        if entry:
            entry.due, entry.token = self._now + seconds, ""
            entry.state = entry.state if state is None else state

    @rule(who=WHO, lease=leases)
    def finish(self, who: int, lease: LeasedEntry) -> None:
        entry = self._ours(lease)
        assert self._run(self._queues[who].finish(lease)) == bool(entry)
        if entry:
            del self._entries[lease.id]

    @rule(seconds=MINUTES)
    def time_passes(self, seconds: int) -> None:
        self._run(let_time_pass(self._store, self._key, seconds))
        self._now += seconds

    @invariant()
    def redis_holds_the_same(self) -> None:
        ids, counted = self._run(self._store.ask(("ZRANGE", self._key, 0, -1), ("GET", f"{self._key}:bytes")))
        assert sorted(entry.decode() for entry in ids) == sorted(self._entries)
        assert int(counted or 0) == self._bytes


def noted(state: bytes | None) -> dict[str, bytes]:
    return {} if state is None else {"state": state}


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.mark.parametrize("redis_url", ["memory", "redis"], indirect=True)  # the scripts of a cluster are the same
def test_two_processes_and_the_model_agree(redis_url: str, runner: asyncio.Runner) -> None:
    numbers = count()
    one = store.connect(redis_url, timeout_seconds=10)
    two = one if redis_url == "memory://" else store.connect(redis_url, timeout_seconds=10)

    def started() -> TwoProcesses:
        return TwoProcesses(runner, (one, two), f"relay:{{queue-{next(numbers)}}}")

    limits = settings(
        max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(started, settings=limits)  # type: ignore[arg-type]  # it may be a function
    for opened in {one, two}:
        runner.run(opened.close())
