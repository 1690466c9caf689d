"""Redis servers that belong together: a master with its replica, a cluster, one with TLS."""

from __future__ import annotations

import datetime
import ipaddress
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis.crc import key_slot

from tests import tools
from tests.harness import Socket
from tests.redis_server import HOST, RedisServer, free_port

_SLOTS = 16384
_BUS_PORTS_ABOVE = 10_000
_WAIT_SECONDS = 20.0


def replica_of(master: RedisServer, *, persistent: bool = True) -> RedisServer:
    """A server, not yet started, that follows another."""
    return RedisServer(persistent=persistent, options=("--replicaof", HOST, str(master.port)))


async def subjects(socket: Socket, *, last: str) -> list[str]:
    """Those of the mail that a socket gets, up to a certain one. Between them it may be told of a new epoch."""
    got: list[str] = []
    while not got or got[-1] != last:
        message = await socket.message()
        if "subject" in message:
            got.append(message["subject"])
        else:
            assert message["status"] == 206, message
    return got


def until(client: redis.Redis, **wanted: object) -> None:
    """Asks INFO replication until it says what is wanted. A Sentinel may cut us off meanwhile."""
    deadline = time.monotonic() + _WAIT_SECONDS
    info: dict[str, object] = {}
    while not wanted.items() <= info.items():
        assert time.monotonic() < deadline, info
        with suppress(redis.ConnectionError):
            info = client.info("replication")


class Cluster:
    """Three masters without replicas, which serve the slots they have whatever happens to the others."""

    def __init__(self, nodes: Sequence[RedisServer]) -> None:
        self.nodes = nodes

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"{HOST}:{node.port}" for node in self.nodes)

    def owner(self, tag: str) -> RedisServer:
        """The node of an inbox, an account or a key hash, as it was at the start."""
        share = _SLOTS // len(self.nodes) + 1
        return self.nodes[key_slot(tag.encode()) // share]


@contextmanager
def cluster(*, count: int = 3) -> Iterator[Cluster]:
    with ExitStack() as running:
        nodes = [running.enter_context(_ClusterNode()) for _ in range(count)]
        share = _SLOTS // count + 1
        for index, node in enumerate(nodes):
            with redis.Redis.from_url(node.url) as client:
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", index + 1)
                slots = range(index * share, min((index + 1) * share, _SLOTS))
                client.execute_command("CLUSTER ADDSLOTS", *slots)
                for other in nodes[:index]:
                    client.execute_command("CLUSTER MEET", HOST, other.port)
        for node in nodes:
            _until_joined(node, count)
        yield Cluster(nodes)


class _ClusterNode(RedisServer):
    """The nodes talk at a port that lies 10,000 above: Redis 6.2 knows no other."""

    def __init__(self) -> None:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
        super().__init__(options=(*options, "--cluster-require-full-coverage", "no"))

    def _new_port(self) -> int:
        while True:
            port = free_port()
            with suppress(OSError, OverflowError):  # taken, or no port at all
                free_port(port + _BUS_PORTS_ABOVE)
                return port


def _until_joined(node: RedisServer, count: int) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    with redis.Redis.from_url(node.url) as client:
        while True:
            info = client.execute_command("CLUSTER INFO")
            facts = (info["cluster_state"], info["cluster_slots_ok"], info["cluster_known_nodes"])
            if facts == ("ok", str(_SLOTS), str(count)):
                return
            assert time.monotonic() < deadline, info


@contextmanager
def with_tls(folder: Path) -> Iterator[tuple[RedisServer, int, Path]]:
    """A server, its TLS port, and the file of the authority that signed its certificate (for 127.0.0.1).

    Raises tools.Missing where the redis-server speaks no TLS.
    """
    if not _speaks_tls():
        raise tools.Missing(tools.REDIS_WITH_TLS)
    authority, certificate, key = _certificates(folder)
    port = free_port()
    options = ["--tls-port", str(port), "--tls-auth-clients", "no"]
    options += ["--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    options += ["--tls-ca-cert-file", str(authority)]
    with RedisServer(options=options) as server:
        yield server, port, authority


def _speaks_tls() -> bool:
    """Whether it was built with it; else it does not know the setting."""
    with RedisServer() as server, redis.Redis.from_url(server.url) as client:
        return bool(client.config_get("tls-port"))


def _certificates(folder: Path) -> tuple[Path, Path, Path]:
    now = datetime.datetime.now(datetime.UTC)
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    def signed(name: str, of: ec.EllipticCurvePrivateKey, *extensions: tuple[x509.ExtensionType, bool]) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]))
            .public_key(of.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(of.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    files = (folder / "authority.crt", folder / "server.crt", folder / "server.key")
    signs = x509.KeyUsage(*(name in (5, 6) for name in range(9)))
    files[0].write_bytes(
        signed("authority", authority_key, (x509.BasicConstraints(ca=True, path_length=0), True), (signs, True))
    )
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])
    files[1].write_bytes(signed("redis", key, (here, False)))
    files[2].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return files
