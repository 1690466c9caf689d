"""The names in Redis are a format: version 0.1 reads and writes them beside this one, in rollouts and rollbacks."""

from __future__ import annotations

import inspect

from relay.store import keys

NAMES_OF_0_1 = {
    "CONTROL": "relay:control",
    "SURVEY": "relay:census",
    "ACCOUNTS": "relay:accounts",
    "ACCOUNTS_APPLIED": "relay:{relay:accounts}:applied",
    "REDIS_LINEAGE": "relay:history",
    "ACTIVITY": "relay:{activity}",
    "PARKED": "relay:{parked}",
    "PARKED_BYTES": "relay:{parked}:bytes",
    "FETCHES": "relay:{fetches}",
    "FETCHES_BYTES": "relay:{fetches}:bytes",
    "probe": "relay:probe:a",
    "survey_answers": "relay:census:a",
    "inbox_channel": "relay:inbox:a",
    "domain_channel": "relay:domain:a",
    "address": "relay:{a}:address",
    "meta": "relay:{a}:meta",
    "letterbox": "relay:{a}:letters",
    "letter_ids": "relay:{a}:letter-ids",
    "flags": "relay:{a}:flags",
    "starred": "relay:{a}:starred",
    "deleted": "relay:{a}:deleted:b",
    "seen": "relay:{a}:seen:3e23e8160039594a33894f65",
    "inbox_tag": "ca978112ca",
    "parked_body": "relay:{parked}:a",
    "fetch": "relay:{fetches}:a",
    "domain_inboxes": "relay:inboxes:{a}",
    "domain": "relay:domain:{a}",
    "account": "relay:account:{a}",
    "account_keys": "relay:account:{a}:keys",
    "account_addresses": "relay:account:{a}:addresses",
    "account_starred": "relay:account:{a}:starred",
    "account_domains": "relay:account:{a}:domains",
    "activity": "relay:account:{a}:activity",
    "domain_proof": "relay:account:{a}:domain:b",
    "api_key": "relay:key:{a}",
}


def test_every_name_is_as_it_was() -> None:
    found = {name: value for name, value in vars(keys).items() if name.isupper() and name != "PREFIX"}
    for name, make in inspect.getmembers(keys, inspect.isfunction):
        found[name] = make(*["a", "b"][: len(inspect.signature(make).parameters)])
    assert {name: found[name] for name in NAMES_OF_0_1} == NAMES_OF_0_1
