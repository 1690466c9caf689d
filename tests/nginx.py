"""An nginx in front of a relay, with TLS and below a path, as docs/how-to/run-behind-a-proxy.md has it."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests import tools

_DOCUMENT = Path(__file__).parent.parent / "docs" / "how-to" / "run-behind-a-proxy.md"
_AROUND = """
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    ssl_certificate {folder}/cert.pem;
    ssl_certificate_key {folder}/key.pem;
{documented}
}}
"""


class Below(NamedTuple):
    """Base URLs of the relay behind it."""

    url: str
    plain_url: str  # without TLS


@asynccontextmanager
async def nginx(relay_port: int, folder: Path) -> AsyncIterator[Below]:
    """Where the relay is; ``cert.pem`` in the folder is whom to trust. Raises tools.Missing."""
    program = tools.NGINX.need()
    _make_certificate(folder)
    with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as another:
        port, plain = free.getsockname()[1], another.getsockname()[1]
    [documented] = re.findall(r"```nginx\n(.*?)```", _DOCUMENT.read_text(), re.DOTALL)
    documented = documented.replace("127.0.0.1:8000", f"127.0.0.1:{relay_port}")
    assert "listen 443 ssl;" in documented
    documented = documented.replace("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl; listen 127.0.0.1:{plain};")
    (folder / "nginx.conf").write_text(_AROUND.format(folder=folder, documented=documented))
    process = await asyncio.create_subprocess_exec(
        program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"
    )
    try:
        await _until_open(process, port)
        yield Below(f"https://127.0.0.1:{port}/relay", f"http://127.0.0.1:{plain}/relay")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _until_open(process: asyncio.subprocess.Process, port: int) -> None:
    while True:
        assert process.returncode is None, "nginx has ended"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)  # there is no event of another program's socket
            continue
        writer.close()
        return


def _make_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
