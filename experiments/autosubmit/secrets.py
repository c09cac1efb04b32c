"""Hiding passwords, tokens and keys in what is shown.

A value is hidden for the name of its key (`API_KEY`, `dbPassword`, all under `CREDENTIALS`), and a part of a text for
its form (`https://ana:secret@host`, `Bearer …`, `PGPASSWORD=…`, a private key, the tokens of well-known services).
Shown are, on purpose: true, false and nothing; references to a value that stands elsewhere (`%SECRETS.TOKEN%`,
`${TOKEN}`); what a name says *about* a secret (`TOKEN_URL`, `SSH_KEY_FILE`); a `PWD`, `SSH_KEY` or `AUTH` that is a
path; a `KEY` that does not look made up; and sections that are named by users (`JOBS.GET_TOKEN`), whose own keys are
judged instead.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

MASK = "********"

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET_WORD = re.compile(
    r".*(?:PASS(?:WORD|WD|PHRASE|CODE)|SECRET|TOKEN|CREDENTIAL|COOKIE|(?:API|ACCESS|PRIVATE|SECRET)KEY)S?|AUTHORIZATION|NETRC"
)
_SECRET_KEY = re.compile(
    r"(?:\w*API|ACCESS|PRIVATE|SECRET|ENCRYPTION|SIGNING|AUTH|MASTER|ACCOUNT|DEPLOY) KEYS?"
)
_DOUBTFUL = re.compile(r"(?:.* )?(?:PWD|PASS|AUTH|SSH KEY)")
"""Names of secrets as well as of paths, numbers and ways."""

_KEY = re.compile(r"(?:.* )?(?<!PUBLIC )KEY")
_LIKE_A_KEY = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[\w+/=:.-]{16,}")
"""What makes a `key` a secret: it looks made up, such as that of the Climate Data Store. A path begins with `/`."""

_ABOUT = re.compile(
    r"FILES?|FILENAME|PATHS?|DIR|FOLDER|UR[LI]|ENDPOINT|HOST|NAME|TYPE|METHOD|LENGTH|SIZE|COUNT|LIMIT|EXPIR(?:Y|ES|ATION)"
    r"|LIFETIME|TTL|TIMEOUT|ENV|VAR|COMMAND|CMD|ENABLED|REQUIRED"
)
_NAMED_BY_USERS = ("JOBS", "PLATFORMS", "WRAPPERS", "DEPENDENCIES")
_REFERENCE = re.compile(r"%\^?[\w.-]+%|\$\{\w+\}|\$[A-Z_][A-Z0-9_]*|\$\([^()]*\)|<[\w .-]+>")
_PATH_OR_WORD = re.compile(r"[~./%$].*|none|basic|oauth2?|kerberos|ssh|ldap|publickey|\d+", re.IGNORECASE)

# In each, what is hidden are the groups called `secret`. Repetitions are bounded: texts may be long and hostile.
_FORMS = tuple(
    re.compile(form, flags)
    for form, flags in (
        (r"(?P<secret>-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,9}-----.*?(?:-----END [^\n-]{0,60}--|\Z)-*)", re.S),
        (r"://[^\s/:@?#]{0,200}:(?P<secret>[^\s/?#]{1,500})@", 0),
        (r"://[^\s/:@?#]{1,200}:(?!\d{1,5}(?:/|$))(?P<secret>[^\s@]{1,500})@", 0),
        (r"https?://(?P<secret>[^\s/:@?#]{20,500})(?::x-oauth-basic)?@", re.I),
        (r"[?&#](?:[\w-]{1,40}[-_])?(?:token|key|apikey|password|passwd|secret|sig|signature|credential|code|auth)="
         r"(?P<secret>[^\s&#\"']{1,4000})", re.I),
        (r"authorization[\"']?\s{0,9}[:=]\s{0,9}[\"']?(?:\w{1,20}\s{1,9})?(?P<secret>[^\s\"',;]{4,8000})", re.I),
        (r"\bbearer\s{1,9}(?=\S{0,99}[\d.=_-])(?P<secret>[\w.~+/=-]{8,8000})", re.I),
        (r"(?<![\w-])(?:-u|--user)[ =][\"']?[^\s:\"']{1,100}:(?P<secret>[^\s\"']{1,500})", 0),
        (r"\bsshpass\s{1,9}-p\s{0,9}(?P<secret>[^\s]{1,500})", 0),
        (r"\blogin\s{1,9}\S{1,200}\s{1,9}password\s{1,9}(?P<secret>\S{1,500})", re.I),
        (r"(?<![\w-])(?P<secret>(?:gh[pousr]_|github_pat_|glpat-|gldt-|xox[abeprs]-|hf_|npm_|pypi-|hvs\.|sk-|dop_v1_)"
         r"[\w-]{16,500})", 0),
        (r"(?<![\w-])(?P<secret>(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{35})(?![\w-])", 0),
        (r"(?<![\w.-])(?P<secret>eyJ[\w-]{8,2000}\.[\w-]{8,8000}\.[\w-]{0,2000})", 0),
    )
)  # fmt: skip
_NAMES = tuple(
    re.compile(rf"(?<![\w-])(?P<name>{name})(?:{between})")
    for name, between in (
        (r"(?:--?)?[A-Za-z_][\w-]{0,60}", r"[\"']?\s{0,9}[:=]\s{0,9}"),
        (r"--?[A-Za-z][\w-]{0,60}", r"(?:\s{1,9}|[\"'],\s{0,9}[\"'])(?!-)"),
    )
)
# Too short for any of the forms, and without what stands between a name and a value: most texts of a configuration.
_HARMLESS = re.compile(r"[\w./+%-]{0,18}")
_VALUE = re.compile(
    r"\"(?:[^\"\\\n]|\\.){1,2000}\"|'(?:[^'\\\n]|\\.){1,2000}'|\$\{\w{1,99}\}|[^\s;,&\"'\])}]{1,4000}"
)


def masked(value: Any) -> tuple[Any, list[str]]:
    """Return a value of dicts, lists, texts and numbers without its secrets, and where they were (RFC 6901).

    The dicts and lists are new, and have as many entries in the same order.
    """
    where: list[str] = []
    return _masked(value, "", "", False, where), where


def is_secret_name(name: str) -> bool:
    """Return whether what has this name is a secret whatever it looks like."""
    words = _words(name)
    if not words or _ABOUT.fullmatch(words[-1]):
        return False
    return any(map(_SECRET_WORD.fullmatch, words)) or any(
        map(_SECRET_KEY.fullmatch, map(" ".join, pairwise(words)))
    )


def mask_text(text: str) -> str:
    """Return a text with what has the form of a secret hidden."""
    if _HARMLESS.fullmatch(text):
        return text
    for form in _FORMS:
        text = form.sub(_hide_secret, text)
    for names in _NAMES:
        text = _hide_assigned(text, names)
    return text


def _words(name: str) -> list[str]:
    """Return the words of a name in upper case, without numbers: `dbPassword2` is DB and PASSWORD."""
    return [word.upper() for word in _WORDS.findall(name) if not word.isdecimal()]


def _is_secret(name: str, value: Any) -> bool:
    if is_secret_name(name):
        is_number = str(value).replace(".", "", 1).isdecimal()
        return not (is_number and _words(name)[-1].endswith("TOKENS"))  # MAX_TOKENS: 512
    if not isinstance(value, str) or not _is_doubtful(name):
        return False
    if _DOUBTFUL.fullmatch(_spaced(name)):
        return not _PATH_OR_WORD.fullmatch(value)
    return _LIKE_A_KEY.fullmatch(value) is not None and value[0] not in "/.~"


def _is_doubtful(name: str) -> bool:
    return bool(_DOUBTFUL.fullmatch(_spaced(name)) or _KEY.fullmatch(_spaced(name)))


def _spaced(name: str) -> str:
    return " ".join(_words(name))


def _masked(value: Any, name: str, pointer: str, is_hidden: bool, where: list[str]) -> Any:
    """Mask a value that stands at `pointer` under the key `name`; `is_hidden` if all around it is secret."""
    if isinstance(value, dict):
        return _masked_mapping(value, name, pointer, is_hidden, where)
    if isinstance(value, list):
        return _masked_list(value, name, pointer, is_hidden, where)
    if value is None or value == "" or isinstance(value, bool):
        return value
    if is_hidden or _is_secret(name, value):
        shown = value if isinstance(value, str) and _REFERENCE.fullmatch(value.strip()) else MASK
    else:
        shown = mask_text(value) if isinstance(value, str) else value
    if shown != value:
        where.append(pointer)
    return shown


def _masked_mapping(
    mapping: dict[str, Any], name: str, pointer: str, is_hidden: bool, where: list[str]
) -> Any:
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
        result[shown] = _masked(value, judged, f"{pointer}/{_escaped(shown)}", is_hidden, where)
    return result


def _masked_list(items: list[Any], name: str, pointer: str, is_hidden: bool, where: list[str]) -> Any:
    is_hidden = is_hidden or is_secret_name(name)
    flags = ["", *(item if isinstance(item, str) and item.startswith("-") else "" for item in items)]
    return [
        _masked(item, flag or name, f"{pointer}/{number}", is_hidden, where)
        for number, (item, flag) in enumerate(zip(items, flags, strict=False))
    ]


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _hide_secret(match: re.Match[str]) -> str:
    begin, end = match.span("secret")
    if _REFERENCE.fullmatch(match["secret"]):
        return match[0]
    return match[0][: begin - match.start()] + MASK + match[0][end - match.start() :]


def _hide_assigned(text: str, names: re.Pattern[str]) -> str:
    """Hide what is assigned to the names of secrets. A value may be another name: `--export=TOKEN=…`."""
    pieces, done = [], 0
    for name in names.finditer(text):
        if name.start() < done or not (is_secret_name(name["name"]) or _is_doubtful(name["name"])):
            continue
        value = _VALUE.match(text, name.end())
        if value and _is_hidden_when_assigned(name["name"], value[0].strip("\"'")):
            pieces += [text[done : value.start()], MASK]
            done = value.end()
    return "".join([*pieces, text[done:]])


def _is_hidden_when_assigned(name: str, value: str) -> bool:
    is_shown = value.lower() in ("true", "false", "none", "null") or _REFERENCE.fullmatch(value)
    return not is_shown and value != MASK and _is_secret(name, value)


def leaves(value: Any, shown: Any, pointer: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield each value that is no dict or list with something in it: where it is, itself, and as it is shown.

    `shown` is what `masked` made of `value`.
    """
    if isinstance(value, dict) and value:
        for inner, (key, inner_shown) in zip(value.values(), shown.items(), strict=True):
            yield from leaves(inner, inner_shown, f"{pointer}/{_escaped(key)}")
    elif isinstance(value, list) and value:
        for number, (inner, inner_shown) in enumerate(zip(value, shown, strict=True)):
            yield from leaves(inner, inner_shown, f"{pointer}/{number}")
    else:
        yield pointer, value, shown
