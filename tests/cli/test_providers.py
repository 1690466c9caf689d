"""What an operator is told to paste into the dashboard of a provider."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2

from relay.cli import exits
from relay.inbound.providers import NEED_API_KEY, PROVIDERS
from tests.cli.conftest import Here
from tests.cli.service import ADDRESS, MAIL, SECRET, Service

ROOT = Path(__file__).parents[2]
URL = "https://relay.example.com"


def listed(here: Here, **settings: str) -> dict[str, dict[str, Any]]:
    ended = here("providers", "--json", **settings)
    assert (ended.returncode, ended.stderr) == (exits.DONE, "")
    return {row["provider"]: row for row in json.loads(ended.stdout)}


def test_every_provider_is_there_with_its_manual(here: Here) -> None:
    rows = listed(here)
    assert sorted(rows) == sorted(PROVIDERS)
    for row in rows.values():
        assert (ROOT / row["manual"]).is_file(), row["manual"]


def test_who_is_on_and_what_is_missing(here: Here) -> None:
    rows = listed(here, RELAY_RAW_SECRET=SECRET, RELAY_PUBLIC_URL=f"{URL}/")
    assert (rows["raw"]["enabled"], rows["raw"]["missing"]) == (True, "")
    for name in set(PROVIDERS) - {"raw"}:
        needed = [f"RELAY_{name.upper()}_SECRET", *([f"RELAY_{name.upper()}_API_KEY"] * (name in NEED_API_KEY))]
        assert (rows[name]["enabled"], rows[name]["missing"]) == (False, " ".join(needed))
        assert rows[name]["url"].partition("?")[0] == f"{URL}/inbound/{name}"
    assert SECRET not in str(rows)


def test_a_provider_that_brings_tokens_needs_no_secret(here: Here) -> None:
    oauth = {
        "JWKS_URL": "https://login.example.com/jwks",
        "OAUTH_ISSUER": "https://login.example.com",
        "OAUTH_SUBJECT": "s",
    }
    row = listed(here, RELAY_PUBLIC_URL=URL, **{f"RELAY_SENDGRID_{name}": value for name, value in oauth.items()})[
        "sendgrid"
    ]
    assert (row["enabled"], row["missing"], row["url"]) == (True, "", f"{URL}/inbound/sendgrid")


def test_a_secret_alone_brings_no_mail_that_has_to_be_fetched(here: Here) -> None:
    rows = listed(here, RELAY_BREVO_SECRET=SECRET, RELAY_RESEND_SECRET=SECRET, RELAY_RESEND_API_KEY=SECRET)
    assert (rows["brevo"]["enabled"], rows["brevo"]["missing"]) == (False, "RELAY_BREVO_API_KEY")
    assert (rows["resend"]["enabled"], rows["resend"]["missing"]) == (True, "")


def test_the_url_proves_the_post(here: Here, service: Service) -> None:
    """As it is pasted, with the secret in its place."""
    url = listed(here, RELAY_PUBLIC_URL=service.url)["raw"]["url"]
    assert url == f"{service.url}/inbound/raw?token=<secret>"
    with httpx2.Client(verify=False, trust_env=False) as http:
        answer = http.post(url.replace("<secret>", SECRET), content=MAIL % "x", headers={"x-envelope-to": ADDRESS})
    assert answer.status_code == 200


def test_as_lines_without_a_public_url(here: Here) -> None:
    shown = here("providers", RELAY_MAILSAC_SECRET=SECRET)
    assert shown.stderr == "relay: set RELAY_PUBLIC_URL to have the host in these URLs\n"
    row = "mailsac\ton\t\thttps://<host>/inbound/mailsac?token=<secret>\tdocs/providers/mailsac.md"
    assert row in shown.stdout.splitlines()
