"""A Redis Cluster: one service over all its nodes, and a node that is away costs its own slots only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis

from relay.address import domain_of
from tests import harness
from tests.harness import ADDRESS, DOMAIN, KEY, MAIL, Relay
from tests.redis_kinds.dead_letters import use_dead_letters
from tests.redis_kinds.fetches import use_fetches
from tests.redis_kinds.messages import use_messages
from tests.redis_kinds.servers import Cluster, cluster, subjects
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio


@pytest.fixture
def three() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


@pytest.fixture
async def relay(three: Cluster, tmp_path: Path) -> AsyncIterator[Relay]:
    async with harness.relay(three.url, tmp_path, redis_timeout_seconds=2.0) as running:
        yield running


def address_on(three: Cluster, node: RedisServer) -> str:
    """An address of user1's domain whose slot a node has."""
    return next(address for number in range(1000) if three.owner(address := f"a{number}@{DOMAIN}") is node)


def is_followed_through(node: RedisServer) -> bool:
    """Whether the link of a relay leads to this node."""
    with redis.Redis.from_url(node.url) as client:
        return bool(client.client_list("pubsub"))


async def test_a_service_over_all_nodes(three: Cluster, relay: Relay) -> None:
    addresses = [address_on(three, node) for node in three.nodes]
    answer = await relay.rest("POST", "/api/private-addresses-bulk", json={"addresses": addresses})
    assert answer.status_code == 200
    for address in addresses:
        assert (await relay.rest("PUT", f"/api/addresses/{address}", json={"enablews": True})).status_code == 200
    async with relay.listen(",".join(addresses)) as socket, relay.listen(DOMAIN) as whole:
        await asyncio.gather(*(relay.send(address, address) for address in addresses))
        for listener in (socket, whole):
            assert {await listener.subject() for _ in addresses} == set(addresses)
        large = b"Subject: large\r\n\r\n" + b"x" * 100_000
        assert (await relay.post(large, addresses[0])).status_code == 200
        assert await socket.subject() == "large"
        await use_dead_letters(relay.process.service.store)
        for node in three.nodes:
            await use_messages(relay, f"m-{address_on(three, node)}")
        await use_fetches(relay.process.service.store)
        for address in addresses:
            assert (await relay.rest("DELETE", f"/api/addresses/{address}")).status_code == 200
        assert json.loads(await socket.connection.recv())["status"] == 403
    for method, path in (("POST", "other.example"), ("DELETE", "other.example")):
        assert (await relay.rest(method, f"/api/domains/{path}")).status_code == 200
    assert [domain["_id"] for domain in (await relay.rest("GET", "/api/domains")).json()] == [DOMAIN]


async def test_a_start_puts_back_what_one_node_has_lost(three: Cluster, tmp_path: Path) -> None:
    names = [f"a{number}@mailsac.com" for number in range(600)]
    listed = "".join(f'{{ address = "{name}", enablews = true }},\n' for name in names)
    text = harness.ACCOUNTS_TOML.replace("addresses = [\n", f"addresses = [\n{listed}", 1)
    await asyncio.to_thread((tmp_path / "accounts.toml").write_text, text)
    for node in three.nodes:
        async with harness.relay(three.url, tmp_path) as relay:
            shown = (await relay.rest("GET", "/api/addresses", params={"limit": 1000})).json()
            assert {one["_id"] for one in shown if one["enablews"]} >= {*names}
            await relay.send("there", next(name for name in names if three.owner(name) is node))
        with redis.Redis.from_url(node.url) as client:
            client.flushall()


async def test_two_processes_at_different_nodes_are_one_service(
    three: Cluster, relay: Relay, tmp_path: Path
) -> None:
    async with harness.relay(three.url, tmp_path) as other, relay.listen() as here, other.listen() as there:
        await relay.send("one")
        await other.send("two")
        assert [await socket.subject() for socket in (here, here, there, there)] == ["one", "two"] * 2
        sockets = (await other.rest("GET", "/api/sockets")).json()
        assert [socket["delivered"] for socket in sockets] == [2, 2]
        assert len({socket["process"] for socket in sockets}) == 2


async def test_a_node_that_is_away_costs_its_own_slots(tmp_path: Path) -> None:
    with cluster(count=4) as four:
        async with (
            harness.relay(four.url, tmp_path, redis_timeout_seconds=2.0) as relay,
            relay.listen(DOMAIN) as socket,
        ):
            # Without the list of accounts, or whose the domain is, no mail can be judged.
            needed = [four.owner(tag) for tag in ("relay:accounts", DOMAIN)]
            away = next(n for n in four.nodes if n not in needed and not is_followed_through(n))
            lost, kept = address_on(four, away), address_on(four, needed[0])
            away.kill()
            assert (await relay.post(b"Subject: lost\r\n\r\n", lost)).status_code == 503
            await relay.send("kept", kept)
            assert await socket.subject() == "kept"
            away.restart()
            while (await relay.post(b"Subject: back\r\n\r\n", lost)).status_code != 200:
                pass
            assert await subjects(socket, last="back") == ["back"]


async def test_a_slot_that_moves_is_followed(three: Cluster, relay: Relay) -> None:
    """First ASK, while keys are on their way, then MOVED: what is told 503 is sent again, and none comes twice.

    While a slot moves Redis does not run a script of which a key is missing (TRYAGAIN), and a new event's is.
    """
    source = three.owner(ADDRESS)
    target = next(node for node in three.nodes if node is not source)
    async with relay.listen() as socket:
        await relay.send("before")
        with redis.Redis.from_url(source.url) as old, redis.Redis.from_url(target.url) as new:
            slot = old.execute_command("CLUSTER KEYSLOT", f"{{{ADDRESS}}}")
            ids = {client: client.execute_command("CLUSTER MYID").decode() for client in (old, new)}
            new.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[old])
            old.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[new])
            keys = old.execute_command("CLUSTER GETKEYSINSLOT", slot, 100)
            old.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            again = {"webhook-id": "asking"}
            answer = await relay.post(b"Subject: asking\r\n\r\n", ADDRESS, headers=again)
            assert answer.status_code in (200, 503)
            for client in (new, old):
                client.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[new])
            assert (await relay.post(b"Subject: asking\r\n\r\n", ADDRESS, headers=again)).status_code == 200
        await relay.send("moved")
        await relay.send("known")
        assert await subjects(socket, last="known") == ["before", "asking", "moved", "known"]


async def test_a_frozen_node_is_left_out_of_the_search(three: Cluster, tmp_path: Path) -> None:
    needed = [three.owner(tag) for tag in (ADDRESS, domain_of(ADDRESS))]
    frozen = next(node for node in three.nodes if node not in needed)
    url = f"redis+cluster://127.0.0.1:{frozen.port},{three.url.partition('://')[2]}"
    async with harness.relay(three.url, tmp_path) as first:  # the accounts are there
        frozen.pause()
        async with harness.relay(url, tmp_path, until_ready=False, redis_timeout_seconds=2.0) as relay:
            await relay.send("through the others")
        frozen.resume()
        await first.until_ready()


async def test_a_plain_url_of_a_cluster_says_so(three: Cluster, tmp_path: Path) -> None:
    async with harness.relay(three.nodes[0].url, tmp_path, until_ready=False) as relay:
        answer = await relay.post(MAIL, address_on(three, three.nodes[1]))
    assert answer.status_code == 503
    assert KEY not in answer.text
