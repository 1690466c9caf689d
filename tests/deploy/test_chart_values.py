"""Values and schema of the chart: its settings are those of relay.settings, and its manual is true.

The part of helm/values.schema.json that follows from relay.settings is written by no hand. After a setting has
come, gone or changed:

    .venv/bin/python tests/deploy/test_chart_values.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from relay import __version__
from relay.settings import RENAMED, Settings

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm"
SCHEMA = CHART / "values.schema.json"
PREFIX = "RELAY_"
FIXED_BY_CHART = {"redis_url", "accounts_file"}  # set from redis.existingSecret and accounts.existingSecret
KEPT = ("enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "description")
LOWEST_PORT = 1024  # every capability is dropped, NET_BIND_SERVICE too


def settable() -> dict[str, str]:
    """RELAY_ name -> field name of each setting that the chart takes as a plain value."""
    return {
        f"{PREFIX}{field.upper()}": field
        for field in Settings.model_fields
        if field not in FIXED_BY_CHART and not field.endswith(("_secret", "_api_key"))
    }


def properties() -> dict[str, dict[str, Any]]:
    """JSON schema of each settable setting, as it is written in values."""
    known = Settings.model_json_schema()["properties"]
    written = {name: _property(name, known[field]) for name, field in settable().items()}
    # Values of the last version must still do: the service reads them, and warns.
    old = {name: written[new] | {"description": f"old name of {new}"} for name, new in RENAMED.items()}
    return written | old


def _property(name: str, known: dict[str, Any]) -> dict[str, Any]:
    # An optional setting is anyOf [its type, null]; to leave it out is to leave it out, so null is not taken over.
    real: dict[str, Any] = next((part for part in known.get("anyOf", []) if part["type"] != "null"), {})
    merged = known | real
    kind = merged["type"]
    # A list is a comma list in the environment, and so in values, that the table of the README holds for both.
    found = {"type": "string" if kind == "array" else kind}
    found |= {key: merged[key] for key in KEPT if key in merged}
    if name.endswith("PORT"):
        found["minimum"] = LOWEST_PORT
    return found


def test_schema_of_settings_is_that_of_the_service() -> None:
    schema = json.loads(SCHEMA.read_text())
    assert schema["properties"]["settings"]["properties"] == properties(), (
        "a setting has changed: run `python tests/deploy/test_chart_values.py`, then mend helm/values.yaml"
    )


def test_every_sender_of_the_chart_is_one_of_the_service() -> None:
    known = {name for name in Settings.model_fields if name.endswith("_secret")}
    for case in CHART.glob("ci/*-values.yaml"):
        senders = (yaml.safe_load(case.read_text()) or {}).get("senders", {})
        assert {f"{name}_secret" for name in senders} <= known
        with_key = {f"{name}_api_key" for name, sender in senders.items() if "apiKey" in sender}
        assert with_key <= set(Settings.model_fields)


def test_values_show_every_setting_with_its_default() -> None:
    text = (CHART / "values.yaml").read_text()
    active: dict[str, Any] = yaml.safe_load(text)["settings"]
    shown: dict[str, Any] = {}
    for line in text.splitlines():
        if line.startswith("  # RELAY_") and ": " in line:
            shown |= yaml.safe_load(line.removeprefix("  # "))
    assert not active.keys() & shown.keys()
    assert active.keys() | shown.keys() == settable().keys()
    defaults = {name: Settings.model_fields[field].default for name, field in settable().items()}
    written = {
        name: ",".join(default) if isinstance(default, tuple) else default for name, default in defaults.items()
    }
    assert shown == {name: written[name] for name in shown}
    differing = {name for name in active if active[name] != written[name]}
    assert differing == {"RELAY_HOST", "RELAY_INTERNAL_PORT"}


def _keys(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{key}.")


def test_the_case_all_sets_everything_that_exists() -> None:
    values: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    everything: dict[str, Any] = yaml.safe_load((CHART / "ci" / "all-values.yaml").read_text())
    assert set(_keys(values)) <= set(_keys(everything))
    assert everything["settings"].keys() == settable().keys()


def test_every_value_is_used_and_known_to_the_schema() -> None:
    values: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads(SCHEMA.read_text())
    assert schema["properties"].keys() - {"global"} == values.keys()
    templates = "".join(path.read_text() for path in (CHART / "templates").iterdir())
    for key in values:
        assert f".Values.{key}" in templates, f"{key} is a value, but no template reads it"


def test_versions_are_that_of_the_package() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == __version__


def main() -> None:
    schema = json.loads(SCHEMA.read_text())
    schema["properties"]["settings"]["properties"] = properties()
    SCHEMA.write_text(json.dumps(schema, indent=2) + "\n")


if __name__ == "__main__":
    main()
