"""A listener for Python programs: mail as it arrives, over as many connections as it takes, and none missed.

Example::

    from relay.client import listen

    async def main() -> None:
        async with listen("wss://relay.example.com", key=KEY, addresses=["user1@example.com"]) as messages:
            async for message in messages:
                print(message["inbox"], message["subject"])

A message is a dict, the JSON of the README. When the connection is cut off, :func:`listen` connects again and resumes:
what came meanwhile comes first, in order. With ``state="listener.json"`` it does so over restarts of the program too.
What cannot be had any more is told as a :class:`Gap`. It ends by breaking out of the loop, by being cancelled, or by
an error; all of them are :class:`relay.errors.RelayError`.

A program that waits for one certain mail, as tests do, takes :class:`relay.client.inbox.Inbox`, which is not async.
"""

from relay.client.backoff import Backoff
from relay.client.errors import BadState, Lost, NotWanted, Unusable
from relay.client.frames import Gap, Message
from relay.client.listener import Listener, listen
from relay.client.target import BadTarget

__all__ = [
    "Backoff",
    "BadState",
    "BadTarget",
    "Gap",
    "Listener",
    "Lost",
    "Message",
    "NotWanted",
    "Unusable",
    "listen",
]
