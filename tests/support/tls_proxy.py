"""A real reverse proxy that ends TLS and passes paths on, as an ingress does: nginx, with an authority of its own."""

import ipaddress
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.services import free_port
from tests.support.waiting import wait_for

NGINX = Path("/usr/sbin/nginx")
_CONFIG = """
user root;
pid {folder}/pid;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {address}:{port} ssl;
        ssl_certificate {folder}/certificate.pem;
        ssl_certificate_key {folder}/key.pem;
        {routes}
    }}
}}
"""
# Longer than the two ends are silent, and than they wait for each other; usual is a minute.
_ROUTE = """
        location {path} {{
            proxy_pass http://{target};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_set_header Host $host;
            proxy_read_timeout 25s;
            proxy_send_timeout 25s;
        }}
"""


@dataclass(frozen=True, slots=True)
class TlsProxy:
    """Where it listens, and the certificate that vouches for it."""

    address: str
    port: int
    folder: Path

    @property
    def certificate(self) -> Path:
        """What clients have to trust."""
        return self.folder / "certificate.pem"

    def make_url(self, path: str) -> str:
        """Return the address of a path, for a WebSocket."""
        return f"wss://{self.address}:{self.port}{path}"


@contextmanager
def tls_proxy(folder: Path, address: str, routes: Mapping[str, str]) -> Iterator[TlsProxy]:
    """Lend one that passes each path on to its HOST:PORT; skip where there is no nginx."""
    if not NGINX.exists():
        pytest.skip("needs the package nginx-light")
    folder.mkdir()
    made = TlsProxy(address, free_port(), folder)
    make_certificate(folder, address)
    told = "".join(_ROUTE.format(path=path, target=target) for path, target in routes.items())
    config = folder / "nginx.conf"
    config.write_text(_CONFIG.format(folder=folder, address=address, port=made.port, routes=told))
    log = folder / "error.log"
    with subprocess.Popen([NGINX, "-c", config, "-e", log, "-g", "daemon off;"]) as process:
        try:
            wait_for(lambda: (folder / "pid").exists() and (folder / "pid").read_text())
            yield made
        finally:
            process.terminate()


def make_certificate(folder: Path, address: str) -> None:
    """Write a key, and a certificate for an address that nobody else vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, address)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(*pem))
