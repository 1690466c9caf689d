"""``make peers`` and the bench where a contestant cannot be had: one line says so, and the others go on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.checkout import ROOT, program


def peers(folder: Path, path: Path) -> subprocess.CompletedProcess[str]:
    """Runs it in a checkout of its own, with these programs alone on PATH."""
    package = folder / "bench"
    package.mkdir()
    for name in ("__init__.py", "peers.py"):
        shutil.copy(ROOT / "bench" / name, package)
    return subprocess.run(
        [sys.executable, "-m", "bench.peers"], cwd=folder, env={"PATH": str(path)}, capture_output=True, text=True,
        timeout=30, check=False,
    )  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A folder of programs."""
    (tmp_path / "path").mkdir()
    return tmp_path / "path"


def test_what_cannot_be_had_is_one_line_each(tmp_path: Path, path: Path) -> None:
    done = peers(tmp_path, path)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "Centrifugo: missing, it is built from source by Go, and there is no go on PATH",
        "nchan: missing, it is a package of Debian, and there is no apt-get on PATH",
    ]
    assert done.stderr == ""


def test_a_build_that_fails_says_its_last_line(tmp_path: Path, path: Path) -> None:
    program(path / "go", "echo first >&2; echo no such module >&2; exit 1")
    done = peers(tmp_path, path)
    assert "Centrifugo: missing, go failed: no such module" in done.stdout.splitlines()


def test_what_was_made_lies_in_the_checkout_and_is_not_made_again(tmp_path: Path, path: Path) -> None:
    made = 'mkdir -p "$GOBIN"; echo x > "$GOBIN/centrifugo"; chmod +x "$GOBIN/centrifugo"'
    program(path / "go", f"PATH=/usr/bin:/bin; {made}")
    first = peers(tmp_path, path)
    where = str(tmp_path / ".peers" / "bin" / "centrifugo")
    assert f"Centrifugo: {where}" in first.stdout.splitlines()
    (path / "go").unlink()
    shutil.rmtree(tmp_path / "bench")
    assert peers(tmp_path, path).stdout.splitlines()[0] == f"Centrifugo: {where}"


def test_a_program_on_path_goes_before(tmp_path: Path, path: Path) -> None:
    program(path / "centrifugo", "exit 0")
    assert peers(tmp_path, path).stdout.splitlines()[0] == f"Centrifugo: {path / 'centrifugo'}"


def test_nchan_is_unpacked_and_asks_for_no_folder_of_root(tmp_path: Path, path: Path) -> None:
    program(path / "apt-get", "PATH=/usr/bin:/bin; touch nginx_1_amd64.deb libnginx-mod-nchan_1%3a2_amd64.deb")
    unpack = (
        'mkdir -p "$3/usr/sbin" "$3/usr/lib/nginx/modules"; touch "$3/usr/sbin/nginx";'
        ' printf "a\\0/var/lib/nginx/body\\0b" > "$3/usr/lib/nginx/modules/ngx_nchan_module.so"'
    )
    program(path / "dpkg", f"PATH=/usr/bin:/bin; {unpack}")
    done = peers(tmp_path, path)
    debian = tmp_path / ".peers" / "debian"
    assert f"nchan: {debian / 'usr/sbin/nginx'}" in done.stdout.splitlines()
    module = (debian / "usr/lib/nginx/modules/ngx_nchan_module.so").read_bytes()
    assert module == b"a\0./././././././/body\0b"
    assert (debian / "nchan-version").read_text() == "1:2"
