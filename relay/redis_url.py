"""The forms of ``RELAY_REDIS_URL``: one Redis, one behind Sentinels, a cluster, or the one inside the process.

What is read here is the shape; whether the options fit together :func:`relay.store.connect` finds. An error says what
is wrong in general and repeats no part of the URL: a misplaced ``@`` makes a password look like a host.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import parse_qsl, unquote, urlencode

EMBEDDED = "memory://"  # Redis inside the process (fakeredis)

FORMS = (
    "redis://host, unix:///path, redis+sentinel://host,host/service or redis+cluster://host,host (rediss… with TLS), "
    "or memory://"
)
_REDIS_PORT, _SENTINEL_PORT = 6379, 26379
_UNREADABLE = "cannot be read; is the port a number, and is what is special in the password percent-encoded?"

# redis-py has more options; those would change what relay promises (time limits, retries, replies as bytes).
_TLS_OPTIONS = frozenset(
    f"ssl_{name}"
    for name in (
        *("ca_certs", "ca_data", "ca_path", "certfile", "keyfile", "password", "cert_reqs", "check_hostname"),
        *("ciphers", "min_version", "include_verify_flags", "exclude_verify_flags"),
    )
)
_OPTIONS = frozenset({"db", "protocol", "max_connections", "client_name", "health_check_interval"})
_UNIX_OPTIONS = frozenset({"username", "password"})
_SENTINEL_OPTIONS = frozenset({"sentinel_username", "sentinel_password"})

Node = tuple[str, int]  # host, TCP port


class BadRedisUrl(ValueError):
    """The text says to the operator what to mend; nothing of the URL is in it."""


class Kind(Enum):
    """What stands behind the URL."""

    EMBEDDED = "embedded"
    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A URL whose parts are known."""

    kind: Kind
    plain: str = field(
        default="", repr=False
    )  # redis://, rediss:// or unix:// as redis-py reads it; of the first node
    nodes: tuple[Node, ...] = ()  # the Redis, the Sentinels, or some nodes of the cluster; () for unix
    service: str = ""  # what the Sentinels call the master; "" for the other kinds
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)

    @property
    def where(self) -> str:
        """For a log: what is connected to, without user, password and options."""
        nodes = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.nodes)
        return f"{self.service} of {nodes}" if self.service else nodes or "a Unix socket"


def parse(url: str) -> RedisUrl:
    """Takes any text. Raises BadRedisUrl."""
    if url == EMBEDDED:
        return RedisUrl(Kind.EMBEDDED)
    scheme, separator, rest = url.partition("://")
    transport, _, name = scheme.partition("+")
    kind = {"": Kind.SINGLE, "sentinel": Kind.SENTINEL, "cluster": Kind.CLUSTER}.get(name)
    if not separator or kind is None or transport not in ("redis", "rediss", "unix") or scheme.startswith("unix+"):
        raise BadRedisUrl(f"must be {FORMS}")
    if "#" in rest or not rest.isprintable() or " " in rest:
        raise BadRedisUrl("has a # or a space; in a password they are %23 and %20")
    location, _, query = rest.partition("?")
    options = _options(query, tls=transport == "rediss", unix=transport == "unix", sentinel=kind is Kind.SENTINEL)
    if transport == "unix":
        return _unix(url, location)
    authority, _, path = location.partition("/")
    return _tcp(kind, transport, authority, path, options)


def _unix(url: str, location: str) -> RedisUrl:
    if not location.rpartition("@")[2].startswith("/"):
        raise BadRedisUrl("must name a file: unix:///path/to/socket")
    return RedisUrl(Kind.SINGLE, url)


def _tcp(kind: Kind, transport: str, authority: str, path: str, options: dict[str, str]) -> RedisUrl:
    user, at, hosts = authority.rpartition("@")
    nodes = tuple(_nodes(hosts, _SENTINEL_PORT if kind is Kind.SENTINEL else _REDIS_PORT))
    if kind is Kind.SINGLE and len(nodes) > 1:
        raise BadRedisUrl(
            "names several hosts; with Sentinels it is redis+sentinel://, of a cluster redis+cluster://"
        )
    service, path = _service(path) if kind is Kind.SENTINEL else ("", path)
    database = _database(path or options.pop("db", "0"))
    if kind is Kind.CLUSTER and database:
        raise BadRedisUrl("names a database; a cluster has database 0 only")
    host, port = nodes[0]
    own = {name: value for name, value in options.items() if name not in _SENTINEL_OPTIONS}
    netloc = f"{user}{at}[{host}]:{port}" if ":" in host else f"{user}{at}{host}:{port}"
    return RedisUrl(
        kind,
        f"{transport}://{netloc}/{database}" + (f"?{urlencode(own)}" if own else ""),
        nodes,
        service,
        options.get("sentinel_username"),
        options.get("sentinel_password"),
    )


def _nodes(hosts: str, default_port: int) -> Iterator[Node]:
    for part in hosts.split(","):
        if part.startswith("["):
            host, bracket, tail = part[1:].partition("]")
        else:
            host, colon, port = part.partition(":")
            bracket, tail = "]", colon + port
        if not host or not bracket or not set(host).isdisjoint("[]@"):
            raise BadRedisUrl(f"names no host where one belongs; it must be {FORMS}")
        yield host, _port(tail, default_port)


def _port(tail: str, default_port: int) -> int:
    """``tail`` is what follows the host: "" or ``:port``."""
    digits = tail.removeprefix(":")
    if not tail:
        return default_port
    if not tail.startswith(":") or not digits.isascii() or not digits.isdigit() or not 0 < int(digits[:9]) < 65536:
        raise BadRedisUrl(_UNREADABLE)
    return int(digits)


def _service(path: str) -> tuple[str, str]:
    """The service and the database part of ``<service>[/<db>]``."""
    service, _, database = path.partition("/")
    if not service:
        raise BadRedisUrl("names no service; with Sentinels it is redis+sentinel://host,host/service")
    return unquote(service), database


def _database(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise BadRedisUrl(
            "has something that is no number where the database belongs; redis://host/0 is the first"
        )
    return int(text)


def _options(query: str, *, tls: bool, unix: bool, sentinel: bool) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=50) if query else []
    except ValueError:
        raise BadRedisUrl("has options after the ? that cannot be read; a ? in a password is %3F") from None
    options = dict(pairs)
    if not tls and not _TLS_OPTIONS.isdisjoint(options):
        raise BadRedisUrl("has an option ssl_… without TLS; with TLS it begins with rediss")
    known = (
        _OPTIONS | _TLS_OPTIONS | (_UNIX_OPTIONS if unix else set()) | (_SENTINEL_OPTIONS if sentinel else set())
    )
    if not known.issuperset(options):
        raise BadRedisUrl(f"has an option after the ? that is not one of {', '.join(sorted(known))}")
    if unix:
        _database(options.get("db", "0"))
    return options
