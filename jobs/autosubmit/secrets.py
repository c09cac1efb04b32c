"""Hide passwords, tokens and keys in values, in texts, and in the bytes of logs.

A value is hidden because of the name of its key (`API_KEY`, `dbPassword`, all under `CREDENTIALS`), a part of a text
because of its form (`https://ana:secret@host`, `Bearer …`, `PGPASSWORD=…`, a private key, tokens of well-known
services). These are shown on purpose: true, false and null; references to another value (`%SECRETS.TOKEN%`,
`${TOKEN}`); facts *about* a secret (`TOKEN_URL`, `SSH_KEY_FILE`); a `PWD`, `SSH_KEY` or `AUTH` that is a path; a `KEY`
that does not look random; sections named by users (`JOBS.GET_TOKEN`), whose own keys are judged instead.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import chain, pairwise
from typing import Any, TypeVar

MASK = "********"
CONTEXT_BYTES = 8 * 1024
"""More than a private key or a token has."""

# After a repetition: what it took is not given back, which would never help and costs time. Python 3.10 cannot say so.
_ONCE = "+" if sys.version_info >= (3, 11) else ""
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET_WORD = re.compile(
    r".*(?:PASS(?:WOR[DT]|WD|PHRASE|CODE)|KENNWORT|SECRET|TOKEN|CREDENTIAL|COOKIE|(?:API|ACCESS|PRIVATE|SECRET)KEY)S?"
    r"|(?:ROOT|BIND|USER|DB|ADMIN)?PW|AUTHORIZATION|BEARER|NETRC|CLAVE|CONTRASE(?:NA|ÑA)|WEBHOOKS?|MOTDEPASSE"
)
_SECRET_WORDS = re.compile(
    r"(?:\w*API|ACCESS|PRIVATE|SECRET|ENCRYPTION|SIGNING|AUTH|MASTER|ACCOUNT|DEPLOY) KEYS?|DE PASSE|MOT PASSE"
)
_DOUBTFUL = re.compile(r"(?:.* )?(?:PWD|PASS|AUTH|SSH KEY)|.* (?<!CPU )(?<!GPU )(?<!MEM )BIND")
"""Names of secrets as well as of paths, numbers and ways."""

_KEY = re.compile(r"(?:.* )?(?<!PUBLIC )KEY")
_LIKE_A_KEY = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[\w+/=:.-]{16,200}")
"""What makes a `key` a secret: it looks made up, such as that of the Climate Data Store. A path begins with `/`."""

_ABOUT = re.compile(
    r"FILES?|FILENAME|PATHS?|DIR|FOLDER|UR[LI]|ENDPOINT|HOST|NAME|TYPE|METHOD|LENGTH|SIZE|COUNT|LIMIT|EXPIR(?:Y|ES|ATION)"
    r"|LIFETIME|TTL|TIMEOUT|ENV|VAR|COMMAND|CMD|ENABLED|REQUIRED"
)
_SECRET_ADDRESS = re.compile("WEBHOOK UR[LI]")
_NAMED_BY_USERS = ("JOBS", "PLATFORMS", "WRAPPERS", "DEPENDENCIES")
_REFERENCE = re.compile(r"%\^?[\w.-]+%|\$\{\w+\}|\$[A-Z_][A-Z0-9_]*|\$\([^()]*\)|<[\w .-]+>")
_PATH_OR_WORD = re.compile(r"[~./%$].*|none|basic|oauth2?|kerberos|ssh|ldap|publickey|\d+", re.IGNORECASE)

# The groups called `secret` are hidden. Texts may be long and hostile, so all repetitions are bounded, most tightly
# those that can begin anywhere, and none goes beyond its line.
_FORMS = tuple(
    re.compile(form, flags)
    for form, flags in (
        (r"://[^\s/:@?#]{0,200}:(?P<secret>[^\s/?#]{1,500})@", 0),
        (r"://[^\s/:@?#]{1,200}:(?!\d{1,5}(?:/|$))(?P<secret>[^\s@]{1,200}" + _ONCE + r")@", 0),
        (r"https?://(?P<secret>[^\s/:@?#]{20,500})(?::x-oauth-basic)?@", re.I),
        (r"[?&#](?:[\w-]{1,40}[-_])?(?:token|key|apikey|password|passwd|secret|sig|signature|credential|code|auth)="
         r"(?P<secret>[^\s&#\"']{1,4000})", re.I),
        (r"authorization[\"']?[ \t]{0,9}[:=][ \t]{0,9}[\"']?(?:\w{1,20}[ \t]{1,9})?(?P<secret>[^\s\"',;]{4,8000})",
         re.I),
        (r"\bbearer[ \t]{1,9}(?=\S{0,99}[\d.=_-])(?P<secret>[\w.~+/=-]{8,8000})", re.I),
        (r"(?<![\w-])(?:-u|--user)[ =][\"']?[^\s:\"']{1,100}:(?P<secret>[^\s\"']{1,500})", 0),
        (r"\bsshpass[ \t]{1,9}-p[ \t]{0,9}(?P<secret>[^\s]{1,500})", 0),
        (r"\b(?:mysql|mariadb)[\w-]{0,20}[ \t](?:[^\n]{0,200}[ \t])?-p[\"']?(?P<secret>[^\s\"'=-][^\s\"']{0,500})", 0),
        (r"\blogin[ \t]{1,9}\S{1,200}[ \t]{1,9}password[ \t]{1,9}(?P<secret>\S{1,500})", re.I),
        (r"://[^\s/]{1,200}/(?:[\w-]{1,40}/){0,4}(?:web)?hooks?/(?P<secret>[\w/@.-]{16,1000})", re.I),
        (r"://hooks\.[^\s/]{1,200}/(?:services|workflows|triggers|hooks)/(?P<secret>[\w/-]{8,1000})", re.I),
        (r"://[\w.-]{1,200}webhook\.office\.com/(?P<secret>\S{8,1000})", re.I),
        (r"(?<!\d)(?P<secret>\d{6,12}:AA[\w-]{30,100})", 0),
        (r"(?<![\w:.-])(?P<secret>\d{1,9}:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![\w-])", re.I),
        (r"(?<![\w-])(?P<secret>(?:gh[pousr]_|github_pat_|glpat-|gldt-|xox[abeprs]-|hf_|npm_|pypi-|hvs\.|sk-|dop_v1_)"
         r"[\w-]{16,500})", 0),
        (r"(?<![\w-])(?P<secret>(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{35})(?![\w-])", 0),
        (r"(?<![\w.-])(?P<secret>eyJ[\w-]{8,2000}\.[\w-]{8,8000}\.[\w-]{0,2000})", 0),
    )
)  # fmt: skip
_IN_A_LINE = re.compile(r"[^\n]")
_PRIVATE_KEY = re.compile(
    r"(?P<secret>-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,9}-----.*?(?:-----END [^\n-]{0,60}--|\Z)-*)", re.S
)
_ADDRESSES = _FORMS[:3]
"""An address with a password or a token in front of the host."""

_NAMES = tuple(
    re.compile(rf"(?<![\w-])(?P<name>{name})(?:{between})")
    for name, between in (
        (r"(?:--?)?[A-Za-z_][\w-]{0,60}", r"[\"']?[ \t]{0,9}[:=][ \t]{0,9}"),
        (r"--?[A-Za-z][\w-]{0,60}", r"(?:[ \t]{1,9}|[\"'],[ \t]{0,9}[\"'])(?!-)"),
    )
)
# One of these is in the lower case of each line with a secret; most lines have none and are looked at no further.
_SIGNS = re.compile(
    r"pass|pwd|pw|secret|token|credential|cookie|key|auth|netrc|bearer|kennwort|clave|contrase|bind|hook|://|:aa|-u|-p"
    r"|sig|code|gh[pousr]_|github_|glpat|gldt|xox|hf_|npm_|pypi|hvs\.|sk-|dop_|akia|asia|aiza|eyj|\d:[0-9a-f]{8}-"
)
_VALUES = (
    r"\"(?:[^\"\\\n]|\\.){{1,{0}}}{1}\"|'(?:[^'\\\n]|\\.){{1,{0}}}{1}'|\$\{{\w{{1,99}}\}}|[^\s;,&\"'\])}}]{{1,{0}}}"
)
_VALUE, _SHORT_VALUE = re.compile(_VALUES.format(4000, _ONCE)), re.compile(_VALUES.format(200, _ONCE))
"""What is assigned; the short one to doubtful names, which may follow each other without anything being hidden."""

Value = TypeVar("Value")
Hide = Callable[[str], str]
"""Makes of a secret what is shown instead."""


def mask_value(value: Value) -> tuple[Value, list[str]]:
    """Return a value of dicts, lists, texts and numbers without its secrets, and their places (RFC 6901).

    Dicts and lists are copied, with as many entries in the same order.
    """
    where: list[str] = []
    return _mask_any(value, "", "", False, where), where


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Return whether a value with this name is a secret, whatever it looks like."""
    words = _split_words(name)
    if not words or (_ABOUT.fullmatch(words[-1]) and not _SECRET_ADDRESS.fullmatch(" ".join(words[-2:]))):
        return False
    return any(map(_SECRET_WORD.fullmatch, words)) or any(map(_SECRET_WORDS.fullmatch, map(" ".join, pairwise(words))))


def mask_text(text: str) -> str:
    """Return a text in which everything with the form of a secret is hidden."""
    return _hide_in_text(text, lambda _: MASK)


def cover(data: bytes) -> bytes:
    """Return bytes with as many `*` as each secret has bytes, so that offsets and lines stay the same."""
    return _hide_in_text(data.decode("latin-1"), lambda secret: _IN_A_LINE.sub("*", secret)).encode("latin-1")


def cover_blocks(read: Callable[[int, int], Iterable[bytes]], start: int, end: int) -> Iterator[bytes]:
    """Yield the bytes from `start` to `end`, as `read(start, end)` yields them, with their secrets covered.

    A secret that begins before or ends after the range is covered too: up to CONTEXT_BYTES around it are read.
    """
    if start >= end:
        return
    window, position = b"", max(0, start - CONTEXT_BYTES)
    for block in chain(read(position, end + CONTEXT_BYTES), [b""]):
        window += block
        ready = min(end, position + len(window) - (CONTEXT_BYTES if block else 0))
        if ready > start and ready - start >= min(len(block), end - start):  # no smaller pieces than are read
            yield cover(window)[start - position : ready - position]
            start = ready
            passed = max(0, start - CONTEXT_BYTES - position)
            window, position = window[passed:], position + passed


def has_credentials(text: str) -> bool:
    """Return whether a text contains an address with a password or a token before its host."""
    return any(not _REFERENCE.fullmatch(found["secret"]) for form in _ADDRESSES for found in form.finditer(text))


def _hide_in_text(text: str, hide: Hide) -> str:
    if not _SIGNS.search(text.lower()):
        return text
    lines = _hide_secrets(text, _PRIVATE_KEY, hide).split("\n")
    return "\n".join(_hide_in_line(line, hide) if _SIGNS.search(line.lower()) else line for line in lines)


def _hide_in_line(line: str, hide: Hide) -> str:
    for form in _FORMS:
        line = _hide_secrets(line, form, hide)
    for names in _NAMES:
        line = _hide_assigned(line, names, hide)
    return line


def _split_words(name: str) -> list[str]:
    """Return the words of a name in upper case, without numbers: `dbPassword2` is DB and PASSWORD."""
    return [word.upper() for word in _WORDS.findall(name) if not word.isdecimal()]


def _is_secret(name: str, value: Any) -> bool:
    if is_secret_name(name):
        is_number = str(value).replace(".", "", 1).isdecimal()
        return not (is_number and _split_words(name)[-1].endswith("TOKENS"))  # MAX_TOKENS: 512
    if not isinstance(value, str) or not _is_doubtful(name):
        return False
    if _DOUBTFUL.fullmatch(_join_words(name)):
        return not _PATH_OR_WORD.fullmatch(value)
    return _LIKE_A_KEY.fullmatch(value) is not None and value[0] not in "/.~"


@lru_cache(maxsize=4096)
def _is_doubtful(name: str) -> bool:
    return bool(_DOUBTFUL.fullmatch(_join_words(name)) or _KEY.fullmatch(_join_words(name)))


def _join_words(name: str) -> str:
    return " ".join(_split_words(name))


def _mask_any(value: Any, name: str, pointer: str, is_hidden: bool, where: list[str]) -> Any:
    """Mask a value at `pointer` with the key `name`; `is_hidden` if everything below a parent is secret."""
    if isinstance(value, dict):
        return _mask_mapping(value, name, pointer, is_hidden, where)
    if isinstance(value, list):
        return _mask_list(value, name, pointer, is_hidden, where)
    if value is None or value == "" or isinstance(value, bool):
        return value
    if is_hidden or _is_secret(name, value):
        shown = value if isinstance(value, str) and _REFERENCE.fullmatch(value.strip()) else MASK
    else:
        shown = mask_text(value) if isinstance(value, str) else value
    if shown != value:
        where.append(pointer)
    return shown


def _mask_mapping(mapping: dict[str, Any], name: str, pointer: str, is_hidden: bool, where: list[str]) -> Any:
    is_hidden = is_hidden or is_secret_name(name)
    named = mapping.get("NAME", mapping.get("name", mapping.get("KEY", mapping.get("key"))))
    result: dict[str, Any] = {}
    for key, value in mapping.items():
        shown = mask_text(key)
        while shown in result:
            shown += "'"
        judged = "" if name.upper() in _NAMED_BY_USERS and isinstance(value, dict) else key
        if key.upper() == "VALUE" and isinstance(named, str):
            judged = named
        result[shown] = _mask_any(value, judged, f"{pointer}/{_escape_key(shown)}", is_hidden, where)
    return result


def _mask_list(items: list[Any], name: str, pointer: str, is_hidden: bool, where: list[str]) -> Any:
    is_hidden = is_hidden or is_secret_name(name)
    flags = ["", *(item if isinstance(item, str) and item.startswith("-") else "" for item in items)]
    return [
        _mask_any(item, flag or name, f"{pointer}/{number}", is_hidden, where)
        for number, (item, flag) in enumerate(zip(items, flags, strict=False))
    ]


def _escape_key(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _hide_secrets(text: str, form: re.Pattern[str], hide: Hide) -> str:
    def replace_secret(match: re.Match[str]) -> str:
        begin, end = match.span("secret")
        if _REFERENCE.fullmatch(match["secret"]):
            return match[0]
        return match[0][: begin - match.start()] + hide(match["secret"]) + match[0][end - match.start() :]

    return form.sub(replace_secret, text)


def _hide_assigned(text: str, names: re.Pattern[str], hide: Hide) -> str:
    """Hide values that are assigned to names of secrets. A value may itself be a name: `--export=TOKEN=…`."""
    pieces, done = [], 0
    for name in names.finditer(text):
        judged = name["name"] if name.start() >= done else ""
        is_secret = is_secret_name(judged)
        value = (
            (_VALUE if is_secret else _SHORT_VALUE).match(text, name.end())
            if is_secret or _is_doubtful(judged)
            else None
        )
        if value and _is_hidden_when_assigned(judged, value[0].strip("\"'")):
            pieces += [text[done : value.start()], hide(value[0])]
            done = value.end()
    return "".join([*pieces, text[done:]])


def _is_hidden_when_assigned(name: str, value: str) -> bool:
    is_shown = value.lower() in ("true", "false", "none", "null") or _REFERENCE.fullmatch(value)
    return not is_shown and bool(value.strip("*")) and _is_secret(name, value)


def list_leaves(value: Any, shown: Any, pointer: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield each value that is no dict or list with something in it: where it is, itself, and as it is shown.

    `shown` is what `masked` made of `value`.
    """
    if isinstance(value, dict) and value:
        for inner, (key, inner_shown) in zip(value.values(), shown.items(), strict=True):
            yield from list_leaves(inner, inner_shown, f"{pointer}/{_escape_key(key)}")
    elif isinstance(value, list) and value:
        for number, (inner, inner_shown) in enumerate(zip(value, shown, strict=True)):
            yield from list_leaves(inner, inner_shown, f"{pointer}/{number}")
    else:
        yield pointer, value, shown
