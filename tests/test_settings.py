"""RELAY_* become one typed object, or one message that names all that is wrong."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay import settings
from relay.errors import ConfigError
from relay.settings import Settings

README = (Path(__file__).parent.parent / "README.md").read_text()


def problems(**environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        settings.load(environ)
    return str(caught.value)


def test_nothing_set_is_the_embedded_default() -> None:
    loaded = settings.load({})
    assert loaded.embedded
    assert loaded.provider_secrets() == {}
    assert (loaded.host, loaded.port, loaded.max_message_bytes) == ("127.0.0.1", 8000, 25 * 1024 * 1024)


def test_everything_that_is_wrong_is_named_at_once() -> None:
    text = problems(
        RELAY_PORT="eighty", RELAY_REDIS_ULR="x", RELAY_DEFAULT_FRAMES="xml", RELAY_DOMAINS="a..b", HOME="/"
    )
    assert len(text.splitlines()) == 4
    assert "RELAY_REDIS_ULR is not a setting; do you mean RELAY_REDIS_URL?" in text
    for name in ("RELAY_PORT", "RELAY_DEFAULT_FRAMES", "RELAY_DOMAINS"):
        assert name in text


@pytest.mark.parametrize("name", ["RELAY_SERVICE_HOST", "RELAY_PORT_8000_TCP_ADDR"])
def test_what_kubernetes_injects_is_explained(name: str) -> None:
    assert "enableServiceLinks: false" in problems(**{name: "10.0.0.1"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RELAY_PORT", "65536"),
        ("RELAY_PORT", "tcp://10.0.0.1:8000"),
        ("RELAY_PING_SECONDS", "0"),
        ("RELAY_PING_SECONDS", "nan"),
        ("RELAY_DRAIN_SECONDS", "inf"),
        ("RELAY_KEEP_MESSAGES", "0"),
        ("RELAY_REDIS_URL", "localhost:6379"),
        ("RELAY_REDIS_URL", "redis://:hunter2@[::1:6379"),
        ("RELAY_REDIS_URL", "redis://:hunter2@host:notaport/0"),
        ("RELAY_REDIS_URL", "redis://"),
        ("RELAY_REDIS_URL", "redis://:hunter2@host/zz"),
        ("RELAY_REDIS_URL", "redis://:hunter2@host/-1"),
        ("RELAY_REDIS_URL", "redis://:hunter2@host:0/0"),
        ("RELAY_REDIS_URL", "redis://:hunt/hunter2@host"),
        ("RELAY_REDIS_URL", "redis://:hunt#hunter2@host"),
        ("RELAY_REDIS_URL", "redis://:hunt?hunter2@host"),
        ("RELAY_REDIS_URL", "redis://:hunter2@one,two/0"),
        ("RELAY_REDIS_URL", "redis://host?socket_timeout=hunter2"),
        ("RELAY_REDIS_URL", "redis://host?ssl_ca_certs=hunter2"),
        ("RELAY_REDIS_URL", "redis://host?sentinel_password=hunter2"),
        ("RELAY_REDIS_URL", "redis+sentinel://:hunter2@host"),
        ("RELAY_REDIS_URL", "redis+sentinel://:hunter2@host/mail/zz"),
        ("RELAY_REDIS_URL", "redis+sentinel://:hunter2@host,/mail"),
        ("RELAY_REDIS_URL", "redis+cluster://:hunter2@host/1"),
        ("RELAY_REDIS_URL", "redis+cluster://:hunter2@host,other:hunter2"),
        ("RELAY_REDIS_URL", "unix+sentinel:///hunter2"),
        ("RELAY_REDIS_URL", "unix://hunter2"),
        ("RELAY_REDIS_URL", "http://:hunter2@host"),
        ("RELAY_RESEND_API_KEY", "hunter2 hunter2"),
        ("RELAY_BREVO_API_KEY", "hunter2\r\nx: y"),
        ("RELAY_REDIS_WAIT_REPLICAS", "1"),  # of a store that has none
        ("RELAY_PUBLIC_URL", "relay.example.com"),
        ("RELAY_SENDGRID_OAUTH_ISSUER", "https://login.example.com"),  # of no server
        ("RELAY_SENDGRID_JWKS_URL", "https://login.example.com/jwks"),  # for anybody
        *(
            ("RELAY_SENDGRID_JWKS_URL", url)
            for url in ("http://login.example.com", "https://", "https://user@login.example.com/", "https://h:x/")
        ),
        ("RELAY_LOG_LEVEL", "loud"),
        ("RELAY_WORKERS", "2"),  # without a Redis that they share
    ],
)
def test_a_wrong_value_is_refused_without_repeating_a_secret(name: str, value: str) -> None:
    text = problems(**{name: value})
    assert name in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    "url",
    [
        "redis://host",
        "redis://user:p%40ss@host:6380/15?protocol=2",
        "redis://[::1]:6379/0",
        "rediss://:password@host/0?ssl_ca_certs=/etc/ca.crt&ssl_check_hostname=false",
        "unix:///run/redis.sock?db=1&username=relay&password=x",
        "redis+sentinel://host/mail",
        "rediss+sentinel://u:p@one,two:26380,[::1]/mail/2?sentinel_username=a&sentinel_password=b&ssl_cert_reqs=none",
        "redis+cluster://u:p@one:7000,two:7001,[::1]:7002",
        "rediss+cluster://one?ssl_ca_certs=/etc/ca.crt",
    ],
)
def test_every_kind_of_redis_url_is_taken(url: str) -> None:
    assert settings.load({"RELAY_REDIS_URL": url}).redis_url.get_secret_value() == url


@given(st.text() | st.builds("redis+sentinel://{}".format, st.text()) | st.builds("redis://{}".format, st.text()))
def test_any_redis_url_is_taken_or_one_config_error(url: str) -> None:
    with suppress(ConfigError):
        settings.load({"RELAY_REDIS_URL": url})


def test_secrets_do_not_print() -> None:
    loaded = settings.load(
        {
            "RELAY_RAW_SECRET": "tell-nobody, neither-this",
            "RELAY_REDIS_URL": "redis://:hush@localhost/0",
            "RELAY_BREVO_API_KEY": "hushed",
        }
    )
    assert loaded.api_keys() == {"brevo": "hushed"}
    assert loaded.provider_secrets() == {"raw": ("tell-nobody", "neither-this")}
    for text in (repr(loaded), str(loaded), loaded.model_dump_json()):
        assert not re.search("tell-nobody|neither|hush", text)


def test_a_token_server_is_told_whose_tokens_count() -> None:
    anybodys = {
        "RELAY_SENDGRID_JWKS_URL": "https://login.example.com:8443/jwks",
        "RELAY_SENDGRID_OAUTH_ISSUER": "https://login.example.com/",
    }
    assert "RELAY_SENDGRID_OAUTH_AUDIENCE" in problems(**anybodys)
    for name in ("AUDIENCE", "SUBJECT"):
        loaded = settings.load({**anybodys, f"RELAY_SENDGRID_OAUTH_{name}": "relay"})
        assert loaded.provider_secrets() == {"sendgrid": ()}


def test_flags_win_over_the_environment() -> None:
    loaded = settings.load({"RELAY_PORT": "1", "RELAY_HOST": "::"}, port=2, host=None)
    assert (loaded.port, loaded.host) == (2, "::")


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert settings.load({"RELAY_INTERNAL_PORT": "", "RELAY_RAW_SECRET": ""}) == settings.load({})


@pytest.mark.parametrize("old", settings.RENAMED)
def test_an_old_name_is_still_read_and_the_new_one_wins(old: str) -> None:
    new = settings.RENAMED[old]
    value, other = ("envelope", "message") if "FRAMES" in old else ("7", "8")
    field = new.removeprefix("RELAY_").lower()
    assert str(getattr(settings.load({old: value}), field)).startswith(value)
    assert str(getattr(settings.load({old: value, new: other}), field)).startswith(other)
    assert new in problems(**{old: "neither"})
    assert settings.renamed({old: value, "HOME": "/"}) == {old: new}


def test_ports_must_differ() -> None:
    assert "RELAY_INTERNAL_PORT" in problems(RELAY_PORT="8000", RELAY_INTERNAL_PORT="8000")


@given(
    st.dictionaries(st.sampled_from(sorted(f"RELAY_{name.upper()}" for name in Settings.model_fields)), st.text())
)
def test_any_values_are_settings_or_one_config_error(environ: dict[str, str]) -> None:
    with suppress(ConfigError):
        settings.load(environ)


def shown(default: object) -> str:
    """A default as the README writes it."""
    if default in (None, "", ()):
        return "unset"
    if hasattr(default, "get_secret_value"):
        return f"`{default.get_secret_value()}`"
    if isinstance(default, tuple):
        return f"`{','.join(default)}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def test_the_readme_has_every_setting_with_its_default_and_meaning() -> None:
    rows = [
        f"| `RELAY_{name.upper()}` | {shown(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    table = [line for line in README.splitlines() if line.startswith("| `RELAY_")]
    assert table == rows
