"""Secrets as files: ``<NAME>_FILE``."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay import settings
from relay.errors import ConfigError


def test_a_file_is_a_secret_and_its_last_newline_is_none(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("one-secret-0123456789\n")
    loaded = settings.load({"RELAY_RAW_SECRET_FILE": str(file)})
    assert loaded.provider_secrets() == {"raw": ("one-secret-0123456789",)}


def test_a_file_may_be_the_url_of_redis_and_an_api_key(tmp_path: Path) -> None:
    url, key = tmp_path / "url", tmp_path / "key"
    url.write_text("redis://:hunter2@redis.test:6379/0\r\n")
    key.write_text("key-0123456789\n")
    loaded = settings.load({"RELAY_REDIS_URL_FILE": str(url), "RELAY_MAILGUN_API_KEY_FILE": str(key)})
    assert loaded.redis_url.get_secret_value() == "redis://:hunter2@redis.test:6379/0"
    assert loaded.api_keys() == {"mailgun": "key-0123456789"}


@pytest.mark.parametrize(
    ("content", "problem"), [(None, "cannot be read"), (b"\xff\xfe", "not UTF-8"), (b"\n", "empty")]
)
def test_a_file_that_is_no_secret_ends_the_start(tmp_path: Path, content: bytes | None, problem: str) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match="RELAY_RAW_SECRET_FILE") as refused:
        settings.load({"RELAY_RAW_SECRET_FILE": str(file)})
    assert problem in str(refused.value)


def test_both_are_refused_and_what_is_no_secret_has_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="RELAY_RAW_SECRET is set as well"):
        settings.load({"RELAY_RAW_SECRET_FILE": str(tmp_path), "RELAY_RAW_SECRET": "x"})
    with pytest.raises(ConfigError, match="RELAY_PORT_FILE is not a setting"):
        settings.load({"RELAY_PORT_FILE": str(tmp_path)})
