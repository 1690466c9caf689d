"""The bytes of bodies that are at the door: who may hold how many, and who makes room for whom.

One number bounds all bodies (work_bytes.py). Those of which nobody knows yet who sent them have half of it, so that
mail with its proof in the head has the other half for itself. Where they want more, the client address that holds most
gives way, not the one that comes last: a stranger with bodies that never end stands in the way of nobody who brings a
mail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from relay.errors import Unavailable
from relay.work_bytes import WorkBytes

_ALWAYS_BYTES = 128 * 1024  # of a proven body, which is nearly every mail: they pass whatever else is under way


class Overloaded(Unavailable):
    """A body that cannot be taken now: there is too much at once, or it comes too slowly."""

    @property
    def headers(self) -> Mapping[str, str]:
        return {**super().headers, "connection": "close"}  # what is left of the body is not read


def _too_much() -> Overloaded:
    return Overloaded("too much mail is coming in at once; try again")


class Share:
    """What one body holds. Not proven until :meth:`prove`."""

    __slots__ = ("_budget", "_give_up", "client", "proven", "revoked", "size_bytes")

    def __init__(self, budget: Budget, client: str) -> None:
        """``client``: the address, as trusted proxies tell; "" = not known, and one with all that are not."""
        self._budget = budget
        self._give_up: Callable[[], None] | None = None
        self.client = client
        self.proven = False
        self.revoked = False  # it had to make room, and holds nothing any more
        self.size_bytes = 0

    def hold(self, more_bytes: int) -> None:
        """Counts bytes that have come. Raises Overloaded: there is no room for them."""
        if self.revoked:
            raise _too_much()
        self._budget.hold(self, more_bytes)

    def wait(self, give_up: Callable[[], None]) -> None:
        """Says that more is to come. ``give_up`` is called when the body has to make room; it ends the waiting."""
        self._give_up = give_up

    def come(self) -> None:
        """Says that nothing more is to come: it makes room for nobody any more. Raises Overloaded: it has already."""
        self._give_up = None
        if self.revoked:
            raise _too_much()

    def prove(self) -> None:
        """It is known now who sent it."""
        self._budget.prove(self)

    def release(self) -> None:
        """The bytes are gone."""
        self._budget.release(self)

    @property
    def may_make_room(self) -> bool:
        """Whether it is one of those that wait for more, and are not proven."""
        return self._give_up is not None and not self.proven

    def revoke(self) -> None:
        """Makes room."""
        give_up, self._give_up = self._give_up, None
        self.release()
        self.revoked = True
        if give_up:
            give_up()


class Budget:
    """Of all bodies at the doors of a process: who may hold what of the bytes that :class:`WorkBytes` counts."""

    def __init__(self, work: WorkBytes) -> None:
        self._work = work
        self.limit_bytes = work.bodies_limit_bytes  # of all bodies
        self.unproven_limit_bytes = self.limit_bytes // 2
        self.unproven_bytes = 0
        self._clients: dict[str, dict[Share, None]] = {}  # unproven shares that hold something

    def share(self, client: str) -> Share:
        """For a body that begins."""
        return Share(self, client)

    def hold(self, share: Share, more_bytes: int) -> None:
        """See :meth:`Share.hold`."""
        self._count(share, more_bytes)
        if share.proven and share.size_bytes <= _ALWAYS_BYTES:
            self._work.admit(more_bytes)
            return
        try:
            while not self._reserve(share, more_bytes):
                self._make_room(share)
        except Overloaded:
            self._count(share, -more_bytes)
            raise

    def _count(self, share: Share, more_bytes: int) -> None:
        share.size_bytes += more_bytes
        if not share.proven:
            self.unproven_bytes += more_bytes
            self._clients.setdefault(share.client, {})[share] = None

    def _reserve(self, share: Share, more_bytes: int) -> bool:
        """Whether there was room."""
        if not share.proven and self.unproven_bytes > self.unproven_limit_bytes:
            return False
        try:
            self._work.reserve(more_bytes)
        except Unavailable:
            return False
        return True

    def prove(self, share: Share) -> None:
        """See :meth:`Share.prove`."""
        if not share.proven:
            self._forget_unproven(share)
            share.proven = True

    def release(self, share: Share) -> None:
        """See :meth:`Share.release`."""
        if not share.proven:
            self._forget_unproven(share)
        self._work.release(share.size_bytes)
        share.size_bytes = 0

    def _make_room(self, share: Share) -> None:
        """Takes the largest body that still comes of the client that holds most. Raises Overloaded: it is this one."""
        _, client = max(((self._held_by(client), client) for client in self._clients), default=(0, ""))
        own_bytes = 0 if share.proven else self._held_by(share.client)
        waiting = [one for one in self._clients.get(client, ()) if one.may_make_room and one is not share]
        if not waiting or (not share.proven and own_bytes >= self._held_by(client)):
            raise _too_much()
        max(waiting, key=lambda one: one.size_bytes).revoke()

    def _held_by(self, client: str) -> int:
        return sum(one.size_bytes for one in self._clients.get(client, ()))

    def _forget_unproven(self, share: Share) -> None:
        if (shares := self._clients.get(share.client)) and share in shares:
            self.unproven_bytes -= share.size_bytes
            del shares[share]
            if not shares:
                del self._clients[share.client]
