"""Domains: relay/api/domains.py."""

from __future__ import annotations

from relay.reference.schemas import BODY_KEY, listed, record, ref, text
from relay.reference.vocabulary import Answer, Body, Example, Noun, Operation, Parameter

DOMAIN = Parameter("domain", "path", "the domain", text(examples=["shop.example"]))

_NOTHING = Body(record({}, BODY_KEY), required=False)
_OBJECT = (Answer("the domain object", ref("Domain")),)

NOUN = Noun(
    "domains",
    "Domains",
    "All mail of a domain that is yours: add it, set the TXT record `verificationTxt` at the domain itself, verify it. "
    "Then a WebSocket may listen to the whole domain, and any address on it can be reserved.",
    (
        Operation(
            "GET",
            "/api/domains",
            "listDomains",
            "List your domains",
            "Those that you added, verified or not.",
            (Answer("the domain objects", listed("Domain")),),
            examples=(Example("all", "/api/domains"),),
        ),
        Operation(
            "GET",
            "/api/domains/{domain}",
            "getDomain",
            "Look a domain up",
            "The object stands inside another, here only.",
            (Answer("the domain object", record({"domain": ref("Domain")})),),
            (DOMAIN,),
            errors=(404,),
            examples=(
                Example("yours", "/api/domains/example.com"),
                Example("not_added", "/api/domains/nobody.example", "It was never added"),
            ),
        ),
        Operation(
            "POST",
            "/api/domains/{domain}",
            "addDomain",
            "Add a domain",
            "400 if you added it already, if it is shared by all accounts, or if you have too many; 401 if it is "
            "another account's.",
            _OBJECT,
            (DOMAIN,),
            _NOTHING,
            examples=(Example("add", "/api/domains/shop.example"),),
        ),
        Operation(
            "POST",
            "/api/domains/{domain}/verify",
            "verifyDomain",
            "Verify a domain",
            "Asks the DNS for the TXT record. 200 says that it was asked: look at `verified`, and at "
            "`lastVerificationErrors` for what is missing.",
            _OBJECT,
            (DOMAIN,),
            _NOTHING,
            errors=(404,),
            examples=(Example("verify", "/api/domains/shop.example/verify"),),
        ),
        Operation(
            "DELETE",
            "/api/domains/{domain}",
            "removeDomain",
            "Remove a domain",
            "400 while addresses on it are reserved: release them first.",
            (Answer("it is gone", ref("Done")),),
            (DOMAIN,),
            errors=(404,),
            examples=(Example("remove", "/api/domains/shop.example"),),
        ),
    ),
)
