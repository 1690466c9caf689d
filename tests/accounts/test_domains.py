"""Custom domains: whoever proves one in the DNS has it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from relay import settings
from relay.accounts import Accounts
from relay.accounts.domains import Domain, Domains
from relay.accounts.txt import NoRecords, TxtResolver
from relay.errors import BadRequest, ConfigError, NotFound, Unauthorized
from relay.store import Store
from relay.store.notices import Kind, Notice
from tests.accounts.control import Control
from tests.accounts.dns_server import DnsServer

pytestmark = pytest.mark.anyio

OWN = "own.example"


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    async with DnsServer() as server:
        yield server


@pytest.fixture
async def accounts(accounts: Accounts, store: Store, dns: DnsServer) -> Accounts:
    """Ann and bob, asking our own DNS server."""
    return Accounts.build(store, settings.load({}, domains=("mailsac.com",), dns_servers=(dns.address,)))


async def _errors(accounts: Accounts) -> str:
    domain = await accounts.domains.verify("ann", OWN)
    assert not domain.verified
    assert await accounts.domains.get("ann", OWN) == domain
    return domain.last_verification_errors


async def test_an_added_domain_is_pending_with_a_token(accounts: Accounts) -> None:
    domain = await accounts.domains.add("ann", OWN)
    assert (domain.name, domain.owner, domain.verified, domain.last_verification_errors) == (OWN, "", False, "")
    assert domain.verification_txt.startswith("relay-verify=")
    assert len(domain.verification_txt) == len("relay-verify=") + 40
    assert domain.created_ms == domain.updated_ms > 1_700_000_000_000
    assert await accounts.domains.list("ann") == [domain]
    assert await accounts.domains.list("bob") == []


async def test_the_token_in_the_dns_proves_the_domain(accounts: Accounts, dns: DnsServer) -> None:
    token = (await accounts.domains.add("ann", OWN)).verification_txt
    dns.txt[OWN] = ['"v=spf1 -all"', f'"{token}"']
    proven = await accounts.domains.verify("ann", OWN)
    assert (proven.owner, proven.verified, proven.last_verification_errors) == ("ann", True, "")
    assert dns.asked == [OWN]
    assert await accounts.domains.verify("ann", OWN) == proven
    assert dns.asked == [OWN]  # what is proven is not asked again
    await accounts.addresses.reserve("ann", f"a@{OWN}")


async def test_the_parts_of_a_split_value_are_joined(accounts: Accounts, dns: DnsServer) -> None:
    token = (await accounts.domains.add("ann", OWN)).verification_txt
    dns.txt[OWN] = [f'"{token[:20]}" "{token[20:]}"']
    assert (await accounts.domains.verify("ann", OWN)).verified


async def test_what_is_missing_is_said_in_plain_words(accounts: Accounts, dns: DnsServer) -> None:
    token = (await accounts.domains.add("ann", OWN)).verification_txt
    assert await _errors(accounts) == "the DNS has no domain own.example (NXDOMAIN)"
    dns.txt[OWN] = []
    assert await _errors(accounts) == "own.example has no TXT record"
    dns.txt[OWN] = ['"secret of another service"', f'"{token}x"', f'" {token}"']
    assert await _errors(accounts) == "there is no such TXT record yet; found 3 other TXT values at own.example"
    dns.broken.add(OWN)
    assert "the DNS servers could not answer for own.example (NoNameservers)" in await _errors(accounts)


async def test_an_alias_proves_nothing(accounts: Accounts, dns: DnsServer) -> None:
    token = (await accounts.domains.add("ann", OWN)).verification_txt
    dns.txt["tenant.example"] = [f'"{token}"']
    dns.aliases[OWN] = "tenant.example"
    assert "own.example is an alias (CNAME)" in await _errors(accounts)


async def test_a_server_that_is_silent_times_out(accounts: Accounts, store: Store, dns: DnsServer) -> None:
    dns.silent.add(OWN)
    resolver = TxtResolver([dns.address], timeout_seconds=0.1)
    domains = Domains(store, accounts.addresses, resolver, shared=frozenset())
    await domains.add("ann", OWN)
    assert "did not answer in time (timeout)" in (await domains.verify("ann", OWN)).last_verification_errors


async def test_the_token_of_another_account_proves_nothing(accounts: Accounts, dns: DnsServer) -> None:
    ann, bob = [await accounts.domains.add(account_id, OWN) for account_id in ("ann", "bob")]
    assert ann.verification_txt != bob.verification_txt
    dns.txt[OWN] = [f'"{bob.verification_txt}"']
    assert "found 1 other TXT values" in await _errors(accounts)


async def test_of_two_who_prove_it_at_once_one_owns_it(accounts: Accounts, dns: DnsServer) -> None:
    both = [await accounts.domains.add(account_id, OWN) for account_id in ("ann", "bob")]
    dns.txt[OWN] = [f'"{domain.verification_txt}"' for domain in both]
    outcomes = await asyncio.gather(
        *(accounts.domains.verify(("ann", "bob")[n % 2], OWN) for n in range(20)), return_exceptions=True
    )
    won = {outcome.owner for outcome in outcomes if isinstance(outcome, Domain)}
    assert len(won) == 1
    assert sum(isinstance(outcome, Unauthorized) for outcome in outcomes) == 10
    loser = "bob" if won == {"ann"} else "ann"
    assert not (await accounts.domains.get(loser, OWN)).verified
    with pytest.raises(Unauthorized, match=r"own\.example belongs to another account"):
        await accounts.domains.verify(loser, OWN)


async def test_what_cannot_be_added(accounts: Accounts) -> None:
    with pytest.raises(BadRequest, match=r"mailsac\.com is shared by all accounts"):
        await accounts.domains.add("ann", "mailsac.com")
    await accounts.domains.add("ann", OWN)
    with pytest.raises(BadRequest, match=r"own\.example is added already"):
        await accounts.domains.add("ann", OWN)
    await accounts.domains.declare("bob", "his.example")
    with pytest.raises(Unauthorized, match="belongs to another account") as refused:
        await accounts.domains.add("ann", "his.example")
    assert "bob" not in str(refused.value)


async def test_an_account_has_at_most_a_hundred_domains(accounts: Accounts) -> None:
    await asyncio.gather(*(accounts.domains.add("ann", f"d{n}.example") for n in range(100)))
    with pytest.raises(BadRequest, match="at most 100 domains"):
        await accounts.domains.add("ann", OWN)
    await accounts.domains.declare("ann", OWN)
    assert len(await accounts.domains.list("ann")) == 101


async def test_what_was_not_added_is_not_found(accounts: Accounts) -> None:
    await accounts.domains.add("bob", OWN)
    for call in (accounts.domains.get, accounts.domains.verify, accounts.domains.remove):
        with pytest.raises(NotFound, match=r"add it with POST /api/domains/own\.example"):
            await call("ann", OWN)


async def test_a_removed_domain_is_free_and_told_to_every_process(accounts: Accounts, control: Control) -> None:
    await accounts.domains.declare("ann", OWN)
    await accounts.domains.remove("ann", OWN)
    assert await control.heard() == [Notice(Kind.DOMAIN, OWN)]
    assert await accounts.domains.list("ann") == []
    await accounts.domains.declare("bob", OWN)
    assert (await accounts.domains.get("bob", OWN)).owner == "bob"


async def test_a_pending_domain_is_removed_in_silence(accounts: Accounts, control: Control) -> None:
    await accounts.domains.declare("bob", OWN)
    await accounts.domains.declare("ann", "other.example")
    await accounts.domains.add("ann", "pending.example")
    await accounts.domains.remove("ann", "pending.example")
    assert await control.heard() == []
    assert [domain.name for domain in await accounts.domains.list("ann")] == ["other.example"]


async def test_a_domain_with_addresses_is_not_removed(accounts: Accounts) -> None:
    await accounts.domains.declare("ann", OWN)
    names = [f"a{n}@{OWN}" for n in range(7)]
    await accounts.addresses.reserve_bulk("ann", names)
    with pytest.raises(BadRequest, match=r"7 addresses on own\.example are reserved; .* a4@own\.example, …$"):
        await accounts.domains.remove("ann", OWN)
    for name in names:
        await accounts.addresses.release("ann", name)
    await accounts.domains.remove("ann", OWN)


@pytest.mark.parametrize("proven", [True, False])
async def test_a_domain_removed_during_its_proof_does_not_come_back(
    accounts: Accounts, control: Control, dns: DnsServer, proven: bool
) -> None:
    token = (await accounts.domains.add("ann", OWN)).verification_txt
    dns.txt[OWN] = [f'"{token if proven else "x"}"']
    dns.held.add(OWN)
    proof = asyncio.create_task(accounts.domains.verify("ann", OWN))
    await dns.was_asked()
    await accounts.domains.remove("ann", OWN)
    dns.let_go()
    with pytest.raises(NotFound):
        await proof
    assert await accounts.domains.list("ann") == []
    await accounts.domains.declare("bob", OWN)  # nobody has it
    await control.heard()


@pytest.mark.parametrize("server", ["", ":53", "host:", "host:99999", "host:port", "[::1", "host/path", "[]:53"])
def test_a_server_that_is_not_host_and_port_ends_the_start(server: str) -> None:
    with pytest.raises(ConfigError, match=r"RELAY_DNS_SERVERS: .* is not host\[:port\]"):
        TxtResolver([server])


async def test_servers_may_be_names_and_the_next_one_is_asked(dns: DnsServer) -> None:
    dns.txt[OWN] = ['"x"']
    async with DnsServer(broken={OWN}) as broken:
        resolver = TxtResolver([broken.address, f"localhost:{dns.port}"])
        assert await resolver.strings(OWN) == [b"x"]
        assert broken.asked == [OWN]


async def test_a_server_name_that_does_not_exist_is_said() -> None:
    with pytest.raises(NoRecords, match=r"could not answer for own\.example"):
        await TxtResolver(["no-such-host.invalid"]).strings(OWN)


def test_addresses_of_both_families_are_servers() -> None:
    TxtResolver(["::1", "[::1]:5353", "127.0.0.1", "127.0.0.1:5353", "dns.example:53"])


async def test_questions_take_turns_and_too_many_are_told_to_come_back(dns: DnsServer) -> None:
    """Each opens files of its own: 480 at once opened a thousand."""
    resolver = TxtResolver([dns.address])
    names = [f"n{number}.example" for number in range(100)]
    dns.held |= set(names)
    asking = [asyncio.ensure_future(resolver.strings(name)) for name in names]
    done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    assert all("too many domains are being looked up" in str(one.exception()) for one in done)
    assert len(done) == 36
    assert len(set(dns.asked)) <= 8
    for one in asking:
        one.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
