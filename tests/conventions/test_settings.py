"""The settings, and `.env.example`, which promises to list them all."""

import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import psycopg.conninfo
import pytest
from django.conf import settings

READ = re.compile(r"\benv\.\w+\(\s*f?\"(\w+|\{prefix\}\w+)\"")  # `prefix` is that of an issuer
LISTED = re.compile(r"^#?(PORTAL_\w+)=", re.MULTILINE)


def _read() -> list[str]:
    text = (settings.BASE_DIR / "autosubmit_portal" / "settings.py").read_text()
    return [name.replace("{prefix}", "PORTAL_OIDC") for name in READ.findall(text)]


def _listed() -> list[str]:
    return LISTED.findall((settings.BASE_DIR / ".env.example").read_text())


def test_the_example_lists_every_setting_that_is_read() -> None:
    assert set(_read()) - set(_listed()) == set()


def test_the_example_lists_nothing_that_is_not_read() -> None:
    assert set(_listed()) - set(_read()) == set()


def test_the_example_lists_each_setting_once() -> None:
    assert len(_listed()) == len(set(_listed()))


def test_the_example_explains_each_setting() -> None:
    lines = (settings.BASE_DIR / ".env.example").read_text().splitlines()
    bare = [line for before, line in pairwise(lines) if LISTED.match(line) and before[:2] != "# "]
    assert bare == []


def _start(home: Path, code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PORTAL_")}
    return subprocess.run(
        [sys.executable, "-c", f"from autosubmit_portal import settings; {code}"],
        cwd=settings.BASE_DIR,
        env=environment | {"PORTAL_HOME": str(home)} | variables,
        capture_output=True,
        text=True,
        check=False,
        umask=0o002,
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PORTAL_WORKERS", "many"),
        ("PORTAL_TRUSTED_PROXIES", "x"),
        ("PORTAL_AUDIT_SYSLOG", "http://log.example.org"),
        ("PORTAL_AUDIT_SYSLOG", "udp://"),
        ("PORTAL_COMMANDS_UMASK", "22"),
        ("PORTAL_THROTTLE_READS", "10/s"),
        ("PORTAL_THROTTLE_ACTIONS", "0/min"),
        ("PORTAL_SECRET_KEY_FILE", "/nowhere/key"),
        ("PORTAL_LDAP_URL", "https://ldap.example.org"),
        ("PORTAL_LDAP_PERSON", "uid=ana,ou=people"),
        ("PORTAL_GITHUB_TEAMS", "{a: {role: king}}"),
        ("PORTAL_PATH", "portal"),
        ("PORTAL_PATH", "//portal"),
        ("PORTAL_PATH", "/portal/../x/"),
        ("PORTAL_PATH", "/portal/?x"),
        ("PORTAL_PATH", "https://host/portal/"),
    ],
)
def test_a_wrong_value_stops_the_start_and_names_the_setting(tmp_path: Path, name: str, text: str) -> None:
    done = _start(tmp_path, "", **{name: text})
    assert done.returncode != 0
    assert name in done.stderr


def test_the_secret_key_is_made_once_and_private(tmp_path: Path) -> None:
    first = _start(tmp_path, "print(settings.SECRET_KEY)").stdout
    assert len(first) > 50
    assert _start(tmp_path, "print(settings.SECRET_KEY)").stdout == first
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0


def test_the_key_of_the_trail_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    code = "print(settings.AUDIT_KEY)"
    assert _start(tmp_path, code).stdout == "\n"
    (tmp_path / "audit_key").write_text("of the file\n")
    assert _start(tmp_path, code).stdout == "of the file\n"
    assert _start(tmp_path, code, PORTAL_AUDIT_KEY="of the environment").stdout == "of the environment\n"


def test_https_switches_the_secure_settings_on(tmp_path: Path) -> None:
    code = "print(settings.SESSION_COOKIE_SECURE, settings.SECURE_SSL_REDIRECT, settings.SECURE_HSTS_SECONDS > 0)"
    assert _start(tmp_path, code, PORTAL_HTTPS="true").stdout.split() == ["True"] * 3
    assert _start(tmp_path, code).stdout.split() == ["False"] * 3


def test_a_secret_is_read_from_a_file(tmp_path: Path) -> None:
    for name, text in (("key", "of a file"), ("url", "postgres://portal:of-a-file@db.example.org/portal")):
        (tmp_path / name).write_text(f"{text}\n")
    code = "print(settings.SECRET_KEY, settings.DATABASES['default']['PASSWORD'])"
    files = {"PORTAL_SECRET_KEY_FILE": f"{tmp_path}/key", "PORTAL_DATABASE_URL_FILE": f"{tmp_path}/url"}
    assert _start(tmp_path, code, **files).stdout == "of a file of-a-file\n"


def test_commands_keep_the_umask_that_the_portal_is_started_with(tmp_path: Path) -> None:
    code = "import os; print(settings.COMMANDS_UMASK, os.umask(0))"
    assert _start(tmp_path, code).stdout == f"{0o002} {0o077}\n"
    assert _start(tmp_path, code, PORTAL_COMMANDS_UMASK="0027").stdout == f"{0o027} {0o077}\n"


def test_the_processes_of_a_portal_are_told_the_umask_of_commands(tmp_path: Path) -> None:
    code = (
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'autosubmit_portal.settings';"
        "from autosubmit_portal.management.processes import make_environment;"
        "print(make_environment()['PORTAL_COMMANDS_UMASK'])"
    )
    assert _start(tmp_path, f"import os; {code}").stdout == "0002\n"


@pytest.mark.parametrize("path", ["/portal/x/", "/portal/x"])
def test_a_path_of_the_portal_is_in_front_of_static_files_cookies_and_the_server_of_the_document(
    tmp_path: Path, path: str
) -> None:
    code = "print(settings.STATIC_URL, settings.SESSION_COOKIE_PATH, settings.CSRF_COOKIE_PATH, settings.PORTAL_PATH)"
    done = _start(tmp_path, f"{code}; print(settings.SPECTACULAR_SETTINGS['SERVERS'])", PORTAL_PATH=path)
    assert done.stdout == "/portal/x/static/ /portal/x /portal/x /portal/x/\n[{'url': '/portal/x'}]\n"


def test_sessions_of_portals_on_one_host_have_names_of_their_own(tmp_path: Path) -> None:
    code = "print(settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME)"
    assert _start(tmp_path, code).stdout == "sessionid csrftoken\n"
    assert _start(tmp_path, code, PORTAL_PATH="/portal/x/").stdout == "sessionid_portal_x csrftoken_portal_x\n"


def read_providers(home: Path, **variables: str) -> list[str]:
    code = "print(*(f'{p.key}={p.name}={p.address}' for p in settings.PROVIDERS), *settings.PROVIDERS_HALF_SET)"
    return _start(home, code, **variables).stdout.split()


def test_providers_stand_side_by_side(tmp_path: Path) -> None:
    issuers = {
        "PORTAL_OIDC_ISSUER": "https://a",
        "PORTAL_OIDC_EDITO_ISSUER": "https://b",
        "PORTAL_OIDC_EDITO_NAME": "E",
    }
    others = {"PORTAL_OIDC_NAME": "A", "PORTAL_CAS_URL": "https://c", "PORTAL_GITHUB_CLIENT_ID": "portal"}
    found = read_providers(tmp_path, **issuers, **others)
    assert found == [
        "sso=A=https://a",
        "sso-edito=E=https://b",
        "cas=CAS=https://c",
        "github=GitHub=https://github.com",
    ]


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("PORTAL_OIDC_CLIENT_ID", "PORTAL_OIDC_ISSUER"),
        ("PORTAL_CAS_TEAMS_FILE", "PORTAL_CAS_URL"),
        ("PORTAL_GITHUB_CLIENT_SECRET", "PORTAL_GITHUB_CLIENT_ID"),
    ],
)
def test_a_provider_that_is_half_set_is_noticed(tmp_path: Path, name: str, missing: str) -> None:
    assert read_providers(tmp_path, **{name: "something"}) == [missing]
    assert read_providers(tmp_path, **{name: ""}) == []


def test_a_link_to_postgresql_that_is_cut_ends_before_the_system_gives_up(tmp_path: Path) -> None:
    url = "postgres://portal@database.example.org/portal"
    code = "import json; print(json.dumps(settings.DATABASES['default']['OPTIONS']))"
    options = json.loads(_start(tmp_path, code, PORTAL_DATABASE_URL=url).stdout)
    of_libpq = {
        name: text for name, text in options.items() if name not in ("server_side_binding", "prepare_threshold")
    }
    assert psycopg.conninfo.conninfo_to_dict(psycopg.conninfo.make_conninfo(url, **of_libpq))["tcp_user_timeout"] == (
        "20000"
    )
