"""What is hidden of a configuration, and what is not."""

import json
from typing import Any

import pytest

from jobs.autosubmit.secrets import MASK, cover_blocks, has_credentials, is_secret_name, mask_text, mask_value

KEY_BLOCK = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"


@pytest.mark.parametrize(
    "name",
    [
        "PASSWORD", "password", "Passwd", "DB_PASSWORD", "dbPassword", "PGPASSWORD", "PASSPHRASE", "TOKEN", "token",
        "GITHUB_TOKEN", "accessToken", "ACCESSTOKEN", "refresh-token", "X-Auth-Token", "SECRET", "CLIENT_SECRET",
        "SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "API_KEY", "api-key", "apiKey", "APIKEY", "PRIVATE_KEY",
        "CREDENTIALS", "AUTHORIZATION", "PASSWORD2", "PASSWORD_HASH", "ECFLOW.TOKEN", "pw", "DB_PW", "bindpw", "bearer",
        "passwort", "DB_PASSWORT", "clave", "CLAVE_API", "mot_de_passe", "MotDePasse", "webhook", "SLACK_WEBHOOK_URL",
    ],
)  # fmt: skip
def test_a_name_is_that_of_a_secret(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "KEEP_WRAPPER", "MONKEY", "TOKENIZER", "KEYWORDS", "KEY", "EXPID", "SSH_KEY_FILE", "TOKEN_URL", "PASSWORD_FILE",
        "SECRET_NAME", "SECRETARY", "PASSWORDLESS", "BYPASS", "AUTHOR", "HPCARCH", "PRIMARY_KEY", "USER", "COMPASS",
        "TOKEN_EXPIRES", "", "CUSTOM_DIRECTIVES", "ENCLAVE", "WEBHOOKS_ENABLED", "PWA", "FORBEARER",
    ],
)  # fmt: skip
def test_a_name_is_no_secret(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("https://ana:hunter2@earth.example/repo.git", "hunter2"),
        ("https://oauth2:glpat-abc@gitlab.example/x.git", "glpat-abc"),
        ("https://ghp_0123456789abcdefghij@github.com/x.git", "ghp_0123456789abcdefghij"),
        ("https://0123456789abcdef0123@gitlab.example/x.git", "0123456789abcdef0123"),
        ("postgres://portal:p@ss@db:5432/portal", "p@ss"),
        ("postgresql+psycopg://portal:pa/ss@db/portal", "pa/ss"),
        ("redis://:hunter2@cache:6379/0", "hunter2"),
        ("clone with https://a:b1@x.example and ssh://git@y.example", "b1"),
        ("https://x.example/data?user=ana&access_token=abc123", "abc123"),
        ("https://x.example/data?X-Amz-Signature=0a1b2c", "0a1b2c"),
        ("Authorization: Bearer abc.def", "abc.def"),
        ("curl -H 'authorization: Basic YW5hOmh1bnRlcjI='", "YW5hOmh1bnRlcjI="),
        ("bearer 0123456789abcdef", "0123456789abcdef"),
        ("curl -u ana:hunter2 https://x.example", "hunter2"),
        ("export PGPASSWORD=hunter2; psql", "hunter2"),
        ("#SBATCH --export=API_TOKEN=hunter2,A=1", "hunter2"),
        ("host=db user=portal password='hunter 2' dbname=x", "hunter 2"),
        ("run --password hunter2 --verbose", "hunter2"),
        ("--token=hunter2", "hunter2"),
        ("['--token', 'hunter2']", "hunter2"),
        ("sshpass -p hunter2 ssh host", "hunter2"),
        ("Cookie: session=hunter2", "hunter2"),
        ('password = "a\\"hunter2"', "hunter2"),
        ('{"api_key": "hunter2"}', "hunter2"),
        ("machine x login ana password hunter2", "hunter2"),
        (KEY_BLOCK, "b3BlbnNzaC1rZXktdjEA"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA", "MIIEpAIBAAKCAQEA"),
        (f"token {JWT}", JWT),
        ("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        ("xoxb-0123456789-abcdefghij", "xoxb-0123456789-abcdefghij"),
        ("https://hooks.slack.com/services/T00000/B00000/abcDEF", "T00000/B00000/abcDEF"),
        ("https://discord.com/api/webhooks/123456789012/abc-DEF_ghi", "123456789012/abc-DEF_ghi"),
        ("https://chat.example/hooks/xjkyge6ztfbbjgcsp", "xjkyge6ztfbbjgcsp"),
        ("https://bsc.webhook.office.com/webhookb2/0a1b@0c1d/IncomingWebhook/9e", "0a1b@0c1d/IncomingWebhook/9e"),
        ("https://api.telegram.org/bot123456789:AAF0-abcdefghijklmnopqrstuvwxyz0123/send", "AAF0-abcdefghijkl"),
        ("url: https://cds.example key: 12345:0b1f6e2c-58a5-4a53-9e7f-0a1b2c3d4e5f", "0b1f6e2c-58a5-4a53"),
        ("mysql -u ana -psecret ocean", "secret"),
        ("mysqldump -h db -p'hunter2' ocean", "hunter2"),
        ("pw: hunter2", "hunter2"),
        ("LDAP_BIND=hunter2", "hunter2"),
    ],
)  # fmt: skip
def test_a_secret_in_a_text_is_hidden(text: str, secret: str) -> None:
    shown = mask_text(text)
    assert secret not in shown
    assert MASK in shown


@pytest.mark.parametrize(
    "text",
    [
        "https://earth.bsc.es/gitlab/es/auto-ecearth3.git", "git@github.com:org/repo.git", "ssh://git@host/repo.git",
        "http://192.168.11.91:8081", "https://ana@earth.example/repo.git", "/gpfs/scratch/bsc32/a000", "48:00",
        "['#SBATCH --exclusive']", "19930101 19930501", "a000_20000101_fc0_1_SIM", "Control run, token ring basics",
        "The basic configuration", "export TOKEN=$TOKEN", "export TOKEN=${TOKEN}", "TOKEN=%SECRETS.TOKEN%",
        "%PROJDIR%/as_conf", "2000-01-01T00:00:00", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB ana@host", "monkey=banana",
        "mysql -u ana -p ocean", "mysql -P3306", "mkdir -p /scratch", "https://x.example/hooks/", "CPU_BIND=cores",
        "12:34:56", "123456:ABC", "password:\nnext line", "http://host:8080/path", "a:b@c",
        "MAX_TOKENS=512", "keywords: ocean, ice", "--author ana", "MAX_TOKENS",
    ],
)  # fmt: skip
def test_a_text_without_secrets_is_shown_as_it_is(text: str) -> None:
    assert mask_text(text) == text


@pytest.mark.parametrize(
    "value",
    [
        {"API_KEY": "hunter2"},
        {"api_key": 20261125},
        {"PLATFORMS": {"MN5": {"Password": "hunter2"}}},
        {"LIST": [{"A": [{"token": "hunter2"}]}]},
        {"TOKENS": ["hunter2", "hunter3"]},
        {"CREDENTIALS": {"user": "hunter1", "all": [{"of": "hunter2"}]}},
        {"ENV": [{"NAME": "DB_PASSWORD", "VALUE": "hunter2"}]},
        {"ARGS": ["--password", "hunter2"]},
        {"SMTP": {"PWD": "hunter2", "PASS": "hunter2"}},
        {"SSH_KEY": "b3BlbnNzaC1rZXktdjEA hunter2"},
        {"JOBS": {"SIM": {"TOKEN": "hunter2"}}},
        {"JOBS": {"TOKEN": "hunter2"}},
        {"https://ana:hunter2@x.example": 1},
        {"TOKEN": "$ecret-hunter2"},
        {"CDSAPI_KEY": "1:hunter2"},
        {"LDAP_BIND": "hunter2"},
        {"cdsapi": {"url": "https://cds.example", "key": "12345:0b1f6e2c-58a5-4a53-hunter20d3f11"}},
    ],
)
def test_a_secret_is_hidden_wherever_it_stands(value: dict[str, Any]) -> None:
    shown, where = mask_value(value)
    assert "hunter" not in json.dumps(shown)
    assert "20261125" not in json.dumps(shown)
    assert MASK in json.dumps(shown)
    assert where or "https" in str(value)


@pytest.mark.parametrize(
    "value",
    [
        {"USE_TOKEN": True, "TOKEN": None, "PASSWORD": ""},
        {"JOBS": {"GET_TOKEN": {"FILE": "token.sh", "DEPENDENCIES": {"TOKEN": {"STATUS": "FAILED"}}}}},
        {"SSH_KEY": "~/.ssh/id_ed25519", "PWD": "/home/ana", "AUTH": "ssh", "SSH_KEY_FILE": "~/.ssh/id"},
        {"TOKEN": "%SECRETS.TOKEN%", "PASSWORD": "${PASSWORD}", "API_KEY": "$API_KEY"},
        {"MAX_TOKENS": 512, "KEEP_WRAPPER": 1, "KEYWORDS": ["ice"], "MONKEY": "banana", "KEY": "start_date"},
        {"SORT_KEY": "a000_20000101", "PUBLIC_KEY": "AAAAC3NzaC1lZDI1NTE5AAAAI", "KEY": "/home/ana/keys/2026/id_rsa1"},
        {"MEMBERS": "fc0", "CHUNKSIZE": 4, "RETRIALS": 0.5, "EMPTY": {}, "NONE": []},
    ],
)
def test_what_is_no_secret_is_shown(value: dict[str, Any]) -> None:
    assert mask_value(value) == (value, [])


def test_the_places_of_secrets_are_named() -> None:
    _, where = mask_value({"A/B": {"TOKEN": "x"}, "C": [1, "https://u:p@h"], "D": "plain"})
    assert where == ["/A~1B/TOKEN", "/C/1"]


def test_masking_again_changes_nothing() -> None:
    once, _ = mask_value({"TOKEN": "x", "GIT": "https://u:p@h", "RUN": "A_TOKEN=x; B"})
    assert mask_value(once)[0] == once


@pytest.mark.parametrize(
    "piece", ["a-", "://a:b", "eyJ", "TOKEN=", "-----BEGIN PRIVATE KEY-----", "bearer ", "a:b@", "-u "]
)
def test_a_long_hostile_text_comes_to_an_end(piece: str) -> None:
    assert mask_text(piece * (100_000 // len(piece)))


SCRIPT = f"""#!/bin/bash
#SBATCH --export=API_TOKEN=hunter2
git clone https://ana:hunter2@earth.example/repo.git
{KEY_BLOCK}
echo done
""".encode()


def read_script(start: int, end: int) -> list[bytes]:
    return [SCRIPT[start:end][:100], SCRIPT[start:end][100:]]


def test_the_secrets_of_a_script_are_covered_and_nothing_moves() -> None:
    shown = b"".join(cover_blocks(read_script, 0, len(SCRIPT)))
    assert len(shown) == len(SCRIPT)
    assert (b"hunter2" in shown, b"b3BlbnNz" in shown) == (False, False)
    assert shown.startswith(b"#!/bin/bash\n#SBATCH --export=API_TOKEN=*******\ngit clone https://ana:*******@earth")
    assert shown.endswith(b"\necho done\n")


def test_every_part_of_a_script_is_that_of_the_whole() -> None:
    whole = b"".join(cover_blocks(read_script, 0, len(SCRIPT)))
    for start in range(len(SCRIPT)):
        assert b"".join(cover_blocks(read_script, start, start + 5)) == whole[start : start + 5]


def test_a_secret_that_crosses_two_blocks_of_a_long_log_is_covered() -> None:
    log = b"x" * 99_990 + b"\nTOKEN=hunter2\n" + b"y" * 99_990

    def read(start: int, end: int) -> list[bytes]:
        return [log[at : min(at + 10_000, end)] for at in range(start, min(end, len(log)), 10_000)]

    shown = b"".join(cover_blocks(read, 0, len(log)))
    assert (len(shown), b"hunter2" in shown, b"TOKEN=*******\n" in shown) == (len(log), False, True)


@pytest.mark.parametrize(
    "text", ["https://ana:hunter2@x.example/r.git", "see ssh://git:a@b/c", f"https://{'a1' * 12}@x/r"]
)
def test_an_address_with_a_password_or_a_token_has_credentials(text: str) -> None:
    assert has_credentials(text)


@pytest.mark.parametrize(
    "text", ["https://x.example:8080/r.git", "ssh://git@x/r.git", "git@x:r.git", "password: x", ""]
)
def test_other_texts_have_no_credentials(text: str) -> None:
    assert not has_credentials(text)
