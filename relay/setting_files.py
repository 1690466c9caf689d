"""Secrets in files, as container platforms mount them: ``RELAY_RAW_SECRET_FILE`` stands for ``RELAY_RAW_SECRET``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

SUFFIX = "_FILE"
_SECRET = ("_SECRET", "_API_KEY", "_REDIS_URL")  # ends of the names that may be files


def put(given: dict[str, str], fields: Mapping[str, str]) -> list[str]:
    """Puts what the files of ``<NAME>_FILE`` hold in the place of these names. The answer is what is wrong."""
    problems = []
    for name in sorted(given):
        setting = name.removesuffix(SUFFIX)
        if name in fields or setting == name or setting not in fields or not setting.endswith(_SECRET):
            continue
        path = given.pop(name)
        if path and given.get(setting):
            problems.append(f"{name}: {setting} is set as well; set one of them")
        elif path:
            given[setting], problem = _secret_in(Path(path))
            problems += [f"{name}: {problem}"] if problem else []
    return problems


def _secret_in(path: Path) -> tuple[str, str]:
    """What the file holds, and what is wrong with it, or "". The text of errors may repeat the file: it is left out."""
    try:
        secret = path.read_text("utf-8").rstrip("\r\n")
    except OSError as exc:
        return "", f"cannot be read: {exc.strerror}"
    except ValueError:
        return "", "is not UTF-8"
    return secret, "" if secret else "is empty"
