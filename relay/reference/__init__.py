"""The reference: what is spoken over HTTP (OpenAPI 3.1) and over the WebSocket (AsyncAPI 3.0), and a page of both.

It is kept by hand, one module a noun, as Python and not as one large JSON or YAML file: a module is read beside the
code that it speaks of, names that code's own limits and tables, and a slip is found by the type checker. It is put
together once, at the start. Tests hold it to the running service: every route, every status, every example, every
frame and close code, both ways.
"""

from __future__ import annotations

from relay.reference import (
    account,
    activity,
    addresses,
    api_keys,
    content,
    domains,
    listening,
    messages,
    operator,
    pages,
    providers,
    samples,
)
from relay.reference.vocabulary import Noun

# In the order of the page. A new noun is a module, and a line here.
NOUNS: tuple[Noun, ...] = (
    addresses.NOUN,
    listening.NOUN,
    samples.NOUN,
    messages.NOUN,
    content.NOUN,
    content.ATTACHMENTS,
    account.ALL_INBOXES,
    domains.NOUN,
    account.NOUN,
    api_keys.NOUN,
    api_keys.SOCKETS,
    activity.NOUN,
    providers.NOUN,
    pages.NOUN,
    operator.NOUN,
)
