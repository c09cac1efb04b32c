"""A real directory: a private OpenLDAP from the Debian package, with TLS, in a folder that is thrown away.

It takes a name without a password for nobody, as the standard says and many do: whoever asks must not believe that.
"""

import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ldap3 import NONE, SUBTREE, Connection, Server, Tls

from autosubmit_portal.access.sign_in.claims import read_rules
from autosubmit_portal.access.sign_in.providers import LDAP, fold_dn
from tests.support.services import free_port
from tests.support.tls_proxy import make_certificate
from tests.support.waiting import PATIENCE, wait_for

SLAPD = Path("/usr/sbin/slapd")
BASE = "dc=example,dc=org"
PEOPLE, GROUPS = f"ou=people,{BASE}", f"ou=groups,{BASE}"
ROOT, ROOT_PASSWORD = f"cn=root,{BASE}", "of the root"
# What groups grant in tests: PORTAL_LDAP_TEAMS.
RULES = f"""{{
    "CN=Earth, {GROUPS}": {{"role": "viewer"}},
    "cn=operators,{GROUPS}": {{"role": "operator"}}
}}"""
CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/pid
TLSCertificateFile {folder}/certificate.pem
TLSCertificateKeyFile {folder}/key.pem
allow bind_anon_cred bind_anon_dn
security simple_bind=64
database mdb
suffix {base}
directory {folder}/db
rootdn {root}
rootpw "{password}"
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
"""


class NoLdap(Exception):
    """There is no directory to test with; the message says what to install."""


@dataclass(slots=True)
class LdapServer:
    """A server: its addresses with and without TLS, and its process."""

    folder: Path
    plain_port: int = field(default_factory=free_port)
    tls_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address with TLS."""
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @property
    def plain_url(self) -> str:
        """Its address for StartTLS."""
        return f"ldap://127.0.0.1:{self.plain_port}"

    @property
    def other_url(self) -> str:
        """An address that the certificate is not for."""
        return f"ldaps://127.0.0.2:{self.tls_port}"

    @property
    def certificate(self) -> Path:
        """What clients have to trust."""
        return self.folder / "certificate.pem"

    @property
    def settings(self) -> LDAP:
        """What the settings of a portal say about it."""
        return LDAP(
            key="ldap",
            prefix="PORTAL_LDAP",
            name="the directory",
            address=self.url,
            person=f"uid={{name}},{PEOPLE}",
            groups=GROUPS,
            rules={fold_dn(name): grants for name, grants in read_rules(RULES).items()},
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        config = self.folder / "slapd.conf"
        listen = f"{self.plain_url} {self.url} {self.other_url}"
        self.process = subprocess.Popen(
            [self.folder / "slapd", "-f", config, "-h", listen, "-d", "0"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(self._answers)

    def stop(self) -> None:
        """End it."""
        if self.process:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None

    def reset(self) -> None:
        """Know nobody, and no group."""
        with self._connect() as root:
            for folder in (PEOPLE, GROUPS):
                root.search(folder, "(!(objectClass=organizationalUnit))", SUBTREE)
                for entry in root.response or []:
                    root.delete(entry["dn"])

    def know(self, name: str, password: str, **attributes: str) -> str:
        """Let somebody be known; return the name of the entry."""
        dn = f"uid={name},{PEOPLE}"
        about = {"cn": name, "sn": name, "userPassword": password, **attributes}
        with self._connect() as root:
            root.add(dn, "inetOrgPerson", about)
        return dn

    def rename(self, name: str, new: str) -> None:
        """Give somebody another name; the entry stays the same."""
        with self._connect() as root:
            root.modify_dn(f"uid={name},{PEOPLE}", f"uid={new}")

    def make_group(self, name: str, member: str) -> None:
        """Make a group that lists an entry."""
        with self._connect() as root:
            root.add(f"cn={name},{GROUPS}", "groupOfNames", {"member": member})

    def make_unix_group(self, name: str, member: str) -> None:
        """Make a group that lists a name, as those of Unix do."""
        with self._connect() as root:
            root.add(f"cn={name},{GROUPS}", "posixGroup", {"gidNumber": "1000", "memberUid": member})

    def remove(self, dn: str) -> None:
        """Remove an entry."""
        with self._connect() as root:
            root.delete(dn)

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        server = Server(self.url, get_info=NONE, tls=Tls(validate=ssl.CERT_NONE))
        root = Connection(server, ROOT, ROOT_PASSWORD, raise_exceptions=True)
        try:
            root.bind()
            yield root
        finally:
            root.unbind()

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.tls_port), PATIENCE):
            return True
        return False


@contextmanager
def server() -> Iterator[LdapServer]:
    """Give a server for as long as the block lasts."""
    if not SLAPD.exists():
        raise NoLdap("No LDAP server to test with: install it (Debian: apt-get install slapd).")
    made = LdapServer(Path(tempfile.mkdtemp(prefix="portal-ldap-")))
    (made.folder / "db").mkdir()
    shutil.copy(SLAPD, made.folder)  # the system may hold the one of the package to its own folders (AppArmor)
    make_certificate(made.folder, "127.0.0.1")
    config = CONFIG.format(folder=made.folder, base=BASE, root=ROOT, password=ROOT_PASSWORD)
    (made.folder / "slapd.conf").write_text(config)
    try:
        made.start()
        with made._connect() as root:
            root.add(BASE, ["dcObject", "organization"], {"dc": "example", "o": "Example"})
            for folder in (PEOPLE, GROUPS):
                root.add(folder, "organizationalUnit")
        yield made
    finally:
        made.stop()
        shutil.rmtree(made.folder)
