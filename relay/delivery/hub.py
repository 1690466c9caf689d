"""Who listens in this process, by channel. No network; nothing waits, so nobody can hold up anybody else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from relay.address import domain_of
from relay.delivery.letter import Gap, Handed, Letter, Listener
from relay.errors import TOO_MANY_SOCKETS, Refused
from relay.store import keys
from relay.store.notices import Kind, Notice


class Hub:
    """The listeners of this process. ``on_change`` is told each channel that gets its first, or loses its last."""

    def __init__(self, *, max_sockets_per_account: int, on_change: Callable[[str], None]) -> None:
        self._max_sockets_per_account = max_sockets_per_account
        self._on_change = on_change
        self._watched: dict[Listener, None] = {}  # in order of arrival
        self._by_channel: dict[str, dict[Listener, None]] = {}
        self._sockets: dict[str, int] = {}  # account -> listeners that count against its limit

    def __len__(self) -> int:
        return len(self._watched)

    def __iter__(self) -> Iterator[Listener]:
        return iter(tuple(self._watched))

    def of_account(self, account: str) -> list[Listener]:
        """The listeners of an account. Looks at every socket here, but only when the account has one."""
        if account not in self._sockets:
            return []
        return [listener for listener in self._watched if listener.account == account]

    def wants(self, channel: str) -> bool:
        """Whether anybody here listens to the channel."""
        return channel in self._by_channel

    def channels(self) -> Iterable[str]:
        """All channels that somebody here listens to."""
        return self._by_channel.keys()

    def watch(self, listener: Listener) -> None:
        """From now on :meth:`concerned` finds the listener; it gets no mail yet."""
        self._watched[listener] = None

    def admit(self, listener: Listener) -> None:
        """From now on the listener gets mail. Its account is known by now. Raises Refused (4429)."""
        count = self._sockets.get(listener.account, 0)
        if count >= self._max_sockets_per_account:
            raise Refused(
                TOO_MANY_SOCKETS,
                f"{count} sockets, and requests that wait for mail, of this account are open here; the limit is"
                f" {self._max_sockets_per_account}. Close some, or listen to several addresses on one socket",
                account=listener.account,
            )
        self._sockets[listener.account] = count + 1
        for channel in channels_of(listener):
            if channel not in self._by_channel:
                self._by_channel[channel] = {}
                self._on_change(channel)
            self._by_channel[channel][listener] = None

    def remove(self, listener: Listener) -> None:
        """Forgets the listener, whatever it had reached."""
        self._watched.pop(listener, None)
        admitted = False
        for channel in channels_of(listener):
            listeners = self._by_channel.get(channel, {})
            if listener not in listeners:
                continue
            admitted = True
            del listeners[listener]
            if not listeners:
                del self._by_channel[channel]
                self._on_change(channel)
        if admitted:
            self._forget_socket(listener.account)

    def _forget_socket(self, account: str) -> None:
        left = self._sockets[account] - 1
        if left:
            self._sockets[account] = left
        else:
            del self._sockets[account]

    def deliver(self, letter: Letter) -> Handed:
        """Hands a letter to everybody who listens to its inbox or domain and may have it; returns to how many.

        The owner is compared here once more: a socket whose right has just ended may still be in the table.
        """
        inbox, owner = letter.inbox, letter.owner
        of_inbox, of_domain = self._listeners(inbox)
        wanted = [listener for listener in of_inbox if listener.account == owner]
        if of_domain:  # who listens to both gets it once
            wanted += [one for one in of_domain if one.account == owner and inbox not in one.addresses]
        for listener in wanted:
            listener.deliver(letter)
        sockets = sum(not listener.waits_for for listener in wanted)
        waits = 0 if sockets == len(wanted) else sum(listener.waits_for == inbox for listener in wanted)
        return Handed(sockets, waits)

    def tell(self, gap: Gap) -> set[str]:
        """Tells everybody who listens to the inbox, or to its domain, of a gap; returns whose listeners they are."""
        of_inbox, of_domain = self._listeners(gap.inbox or "")
        told = [*of_inbox, *(one for one in of_domain if gap.inbox not in one.addresses)]
        for listener in told:
            listener.deliver(gap)
        return {listener.account for listener in told}

    def _listeners(self, inbox: str) -> tuple[Iterable[Listener], Collection[Listener]]:
        """Of the inbox, and of its domain."""
        of_domain = self._by_channel.get(keys.domain_channel(domain_of(inbox)), ())
        return self._by_channel.get(keys.inbox_channel(inbox), ()), of_domain

    def follows(self, inbox: str) -> bool:
        """Whether anybody here listens to the inbox or its domain."""
        return self.wants(keys.inbox_channel(inbox)) or self.wants(keys.domain_channel(domain_of(inbox)))

    def concerned(self, notice: Notice) -> list[Listener]:
        """The listeners whose right may have ended by what the notice tells."""
        match notice.kind:
            case Kind.KEY:
                return [listener for listener in self._watched if listener.key_hash == notice.name]
            case Kind.ADDRESS:
                return [listener for listener in self._watched if notice.name in listener.addresses]
            case Kind.DOMAIN:
                return [listener for listener in self._watched if notice.name in listener.domains]


def channels_of(listener: Listener) -> list[str]:
    """The doorbells that a listener needs."""
    return [
        *map(keys.inbox_channel, listener.addresses),
        *map(keys.domain_channel, listener.domains),
    ]
