"""What an outside scan of an answer looks at: a table of headers, and each as it must be."""

import re
from collections.abc import Callable, Mapping

HTML_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
)
Judge = Callable[[str], bool]
# Every answer has these.
ALWAYS: dict[str, Judge] = {
    "content-security-policy": lambda value: "unsafe" not in value and "frame-ancestors 'none'" in value,
    "x-content-type-options": lambda value: value == "nosniff",
    "referrer-policy": lambda value: value == "same-origin",
    "permissions-policy": lambda value: "camera=()" in value,
    "cross-origin-opener-policy": lambda value: value == "same-origin",
    "cross-origin-resource-policy": lambda value: value == "same-origin",
}
# No answer tells these: what serves it, and that anybody else may read it.
NEVER: dict[str, Judge] = {
    "server": lambda value: value.strip() != "",
    "x-powered-by": lambda value: True,
    "via": lambda value: True,
    "access-control-allow-origin": lambda value: True,
}
HTTPS: dict[str, Judge] = {
    "strict-transport-security": lambda value: int(re.findall(r"max-age=(\d+)", value)[0]) >= 31_536_000
}
COOKIE_WORDS = ("path=/", "samesite=lax")


def complaints(headers: Mapping[str, str], *, cookies: list[str], is_https: bool = False) -> list[str]:
    """Return what is wrong with the headers and the `Set-Cookie` of an answer; nothing if all is well."""
    given = {name.lower(): value for name, value in headers.items()}
    wanted = ALWAYS | (HTTPS if is_https else {})
    found = [f"{name}: {given.get(name)}" for name, good in wanted.items() if not good(given.get(name, ""))]
    found += [f"{name}: {given[name]}" for name, bad in NEVER.items() if name in given and bad(given[name])]
    found += _policy(given)
    for cookie in cookies:
        words = {word.strip().lower() for word in cookie.split(";")}
        needed = {*COOKIE_WORDS, *(["secure"] if is_https else []), *_http_only(cookie)}
        found += [f"cookie without {word}: {cookie}" for word in needed - words]
    return found


def _policy(given: Mapping[str, str]) -> list[str]:
    policy = [part.strip() for part in given.get("content-security-policy", "").split(";")]
    is_page = given.get("content-type", "").startswith("text/html")
    needed = HTML_POLICY if is_page else ("default-src 'none'", "sandbox")
    return [f"content-security-policy without {part}" for part in needed if part not in policy]


def _http_only(cookie: str) -> list[str]:
    """The cookie of a session is for no script; that of the CSRF token is for ours."""
    return ["httponly"] if cookie.startswith("sessionid=") else []
