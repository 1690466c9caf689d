"""``make peers`` (``python -m bench.peers``): the contestants that Go and Debian give, into .peers/ of this checkout.

Centrifugo is built by ``go install`` (some minutes, the first time), nginx with nchan is taken out of Debian's
packages; nothing is installed on the machine, and nobody need be root. What cannot be had here is said in one line, and
the bench goes on without it: so it is where there is no Go, or no Debian. What is on PATH goes before .peers/.

Exit code: 0 all are there; 1 something is missing, which was said.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

FOLDER = Path(__file__).parent.parent / ".peers"
CENTRIFUGO_MODULE = "github.com/centrifugal/centrifugo/v6"
CENTRIFUGO_VERSION = "v6.9.1"
_DEBIAN = ("nginx", "libnginx-mod-nchan")
_BUILT_IN = b"/var/lib/nginx/"
_NGINX = "debian/usr/sbin/nginx"
_VERSION_FILE = "debian/nchan-version"
_MODULES = tuple(f"/usr/{folder}/nginx/modules/ngx_nchan_module.so" for folder in ("lib", "lib64", "share"))


class Unavailable(Exception):
    """A contestant that cannot be had here; the text says why."""


def centrifugo() -> str:
    """The program; "" = there is none."""
    return shutil.which("centrifugo") or _in_folder("bin/centrifugo")


def nchan() -> tuple[str, str]:
    """nginx and the module for it, of one build; both "" = there are none."""
    installed = next((str(path) for path in map(Path, _MODULES) if path.exists()), "")
    nginx = shutil.which("nginx")
    if nginx and installed:
        return nginx, installed
    unpacked = _in_folder(_NGINX), _in_folder(f"debian{_MODULES[0]}")
    return unpacked if all(unpacked) else ("", "")


def nchan_version() -> str:
    """Of Debian's package; "not here" = there is none."""
    package = FOLDER / _VERSION_FILE
    if _in_folder(_VERSION_FILE) and nchan()[0] == str(FOLDER / _NGINX):
        return package.read_text()
    if not nchan()[0] or not shutil.which("dpkg-query"):
        return "not here"
    command = ["dpkg-query", "-W", "-f", "${Version}", _DEBIAN[1]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return done.stdout.strip() or "unknown"


def main() -> int:
    """Returns the exit code."""
    made = [_have("Centrifugo", centrifugo, _build_centrifugo), _have("nchan", lambda: nchan()[0], _unpack_nchan)]
    return 0 if all(made) else 1


def _in_folder(name: str) -> str:
    path = FOLDER / name
    return str(path) if path.exists() else ""


def _have(name: str, find: Callable[[], str], make: Callable[[], None]) -> bool:
    if not find():
        try:
            make()
        except Unavailable as why:
            _say(f"{name}: missing, {why}")
            return False
    _say(f"{name}: {find()}")
    return True


def _build_centrifugo() -> None:
    go = _need("go", "it is built from source by Go")
    _say(f"Centrifugo: go install {CENTRIFUGO_MODULE}@{CENTRIFUGO_VERSION} (some minutes) ...")
    environment = {**os.environ, "GOBIN": str(FOLDER / "bin"), "CGO_ENABLED": "0"}
    _run([go, "install", f"{CENTRIFUGO_MODULE}@{CENTRIFUGO_VERSION}"], environment=environment)


def _unpack_nchan() -> None:
    """Both packages are fetched, even where one is installed: a module fits its own build of nginx only."""
    apt_get = _need("apt-get", "it is a package of Debian")
    dpkg = _need("dpkg", "it is a package of Debian")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        _run([apt_get, "download", "-qq", *_DEBIAN], folder=Path(folder))
        for package in sorted(Path(folder).glob("*.deb")):
            _run([dpkg, "-x", str(package), str(FOLDER / "debian")])
            if package.name.startswith(_DEBIAN[1]):
                (FOLDER / _VERSION_FILE).write_text(unquote(package.name.split("_")[1]))
    _unbind_folders(FOLDER / f"debian{_MODULES[0]}")


def _unbind_folders(module: Path) -> None:
    """Lets our copy of nchan ask for temporary folders below nginx's prefix (``-p``), not where only root could.

    It asks for those that were built in, whatever the configuration says. A path that is not absolute begins at the
    prefix, and one of the same length fits into the same place.
    """
    program = module.read_bytes()
    module.write_bytes(program.replace(_BUILT_IN, b"./" * (len(_BUILT_IN) // 2) + b"/" * (len(_BUILT_IN) % 2)))


def _need(program: str, why: str) -> str:
    if found := shutil.which(program):
        return found
    raise Unavailable(f"{why}, and there is no {program} on PATH")


def _run(command: list[str], *, folder: Path | None = None, environment: dict[str, str] | None = None) -> None:
    """Raises Unavailable with the last line that it wrote."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise Unavailable(f"{Path(command[0]).name} failed: {last}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
