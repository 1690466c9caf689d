"""The WebSocket as one AsyncAPI 3.0 document."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from relay import __version__
from relay.reference.listening import QUERY
from relay.reference.schemas import SCHEMAS
from relay.reference.socket import ENDS, FRAMES, Frame

_SAYS = (
    "Each mail to your addresses, the moment it comes. What clients send is ignored. Pings come every "
    "`RELAY_PING_SECONDS`; permessage-deflate is spoken when the client offers it."
)
_SCHEMES = {
    "keyInQuery": {"type": "httpApiKey", "in": "query", "name": "key"},
    "key": {"type": "httpApiKey", "in": "header", "name": "Mailsac-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "keyInSubprotocol": {
        "type": "httpApiKey",
        "in": "header",
        "name": "Sec-WebSocket-Protocol",
        "description": "For browsers: `new WebSocket(url, ['relay', 'relay.key.<key>'])`.",
    },
}


def document(base_url: str, frames: dict[str, Any]) -> dict[str, Any]:
    """The whole document. ``base_url``: of this service; ``frames``: one of each kind, as it was recorded."""
    base = urlsplit(base_url)
    shapes = {name: SCHEMAS[name] for name in ("Mailbox", "Message", "Truncated")}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "relay", "version": __version__, "description": _SAYS},
        "defaultContentType": "application/json",
        "servers": {
            "relay": {
                "host": base.netloc,
                **({"pathname": base.path} if base.path else {}),
                "protocol": "wss" if base.scheme == "https" else "ws",
                "security": [_ref("securitySchemes", name) for name in _SCHEMES],
            }
        },
        "channels": {"incomingMessages": _channel()},
        "operations": {
            "sendToListener": {
                "action": "send",
                "channel": {"$ref": "#/channels/incomingMessages"},
                "messages": [{"$ref": f"#/channels/incomingMessages/messages/{frame.name}"} for frame in FRAMES],
            }
        },
        "components": {
            "messages": {frame.name: _message(frame, frames.get(frame.name)) for frame in FRAMES},
            "schemas": shapes,
            "securitySchemes": _SCHEMES,
        },
    }


def _channel() -> dict[str, Any]:
    query = {
        "type": "object",
        "properties": {one.name: {**one.schema, "description": one.says} for one in QUERY},
        "required": [one.name for one in QUERY if one.required],
    }
    return {
        "address": "/incoming-messages",
        "title": "Incoming messages",
        "messages": {frame.name: _ref("messages", frame.name) for frame in FRAMES},
        "bindings": {"ws": {"method": "GET", "query": query, "bindingVersion": "0.1.0"}},
        # AsyncAPI has no word for how a WebSocket ends.
        "x-close-codes": [asdict(end) for end in ENDS],
    }


def _message(frame: Frame, example: Any) -> dict[str, Any]:
    examples = {"examples": [{"name": frame.name, "payload": example}]} if example else {}
    return {"name": frame.name, "title": frame.title, "summary": frame.says, "payload": frame.schema, **examples}


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}
