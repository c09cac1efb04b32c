"""Stamps of live parts: a tab asks whether what it shows has changed, and gets the part only when it has.

A part is made of rows. Which rows, its page says as QuerySets; from them one statement is made and kept, with the
rights of whoever looks in the same statement. A stamp is a digest of all that this statement returns, so there is no
counter that a writer could forget. No row becomes an object and no template is rendered, and session and account are
looked at in that statement, before anything else looks them up. What depends on the clock (a
freeze begins, a mirror is late) is looked at once a second for all tabs of the process. What is in no row (the logs of
a job, when the mirror last looked) is seen within FILES_SECONDS on the pages that are about it, elsewhere within
MOST_SECONDS: a stamp lasts no longer. Relative times count on in the browser.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import wraps
from hashlib import blake2b
from sys import intern
from threading import Lock
from typing import Any, TypeVar, cast
from zlib import crc32

from cachetools import TTLCache
from cachetools.func import ttl_cache
from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone, translation

from autosubmit_portal import __version__
from autosubmit_portal.access.models import TeamExperiment
from autosubmit_portal.audit.origin import get_actor
from experiments.models import Action, Experiment, Freeze, Note, Site

View = TypeVar("View", bound=Callable[..., HttpResponseBase])

HEADER = "Portal-Stamp"
MOST_SECONDS, FILES_SECONDS = 300, 60
# A statement may hold times, such as those of a filter by period; it is made anew after that.
KEPT_SECONDS = 300
MOST_KEPT = 2000
# The mirror writes these all the time.
HEARTBEATS = {"mirrored_at", "swept_at", "mirror_expires_at"}
_OF_SITE = [field.attname for field in Site._meta.concrete_fields if field.name not in HEARTBEATS]

# What decides what somebody sees and may do: the session, whether its sign-in still holds, and what they prefer; the
# rights of the account, and of those who lend it theirs.
_RIGHTS = """
WITH given(account, session, now) AS (SELECT CAST(%s AS bigint), %s, %s),
loan AS (
    SELECT * FROM access_delegation, given
    WHERE grantee_id = account AND revoked_at IS NULL AND starts_at <= now AND ends_at > now
),
whose(id) AS (SELECT account FROM given UNION SELECT grantor_id FROM loan)
SELECT 1 AS kind, id AS account, CAST(is_superuser AS integer) AS number, CAST(is_active AS integer) AS team,
    0 AS place, password AS name, '' AS owner, '' AS hpc, '' AS pattern
FROM auth_user WHERE id IN (SELECT id FROM whose)
UNION ALL SELECT 2, user_id, permission_id, 0, 0, '', '', '', ''
FROM auth_user_user_permissions WHERE user_id IN (SELECT id FROM whose)
UNION ALL SELECT 3, member.user_id, held.permission_id, 0, 0, '', '', '', ''
FROM auth_user_groups member JOIN auth_group_permissions held ON held.group_id = member.group_id
WHERE member.user_id IN (SELECT id FROM whose)
UNION ALL SELECT 4, member.user_id, member.role, member.team_id, coverage.site_id, team.slug, coverage.owner,
    coverage.hpc, coverage.expid_pattern
FROM access_membership member JOIN access_team team ON team.id = member.team_id
LEFT JOIN access_coverage coverage ON coverage.team_id = team.id
JOIN given ON member.ends_at IS NULL OR member.ends_at > now
WHERE member.user_id IN (SELECT id FROM whose)
UNION ALL SELECT 5, user_id, role, 0, site_id, '', '', '', ''
FROM access_siterole WHERE user_id IN (SELECT id FROM whose)
UNION ALL SELECT 6, account.user_id, policy.owner_role, 0, account.site_id, account.unix_name, '', '', ''
FROM access_siteaccount account LEFT JOIN access_sitepolicy policy ON policy.site_id = account.site_id
WHERE account.user_id IN (SELECT id FROM whose)
UNION ALL SELECT 7, loan.id, loan.role, loan.team_id, loan.experiment_id, '', coverage.owner, coverage.hpc,
    coverage.expid_pattern
FROM loan LEFT JOIN access_coverage coverage ON coverage.team_id = loan.team_id
UNION ALL SELECT 8, 0, 0, 0, 0, session_data, '', '', ''
FROM django_session JOIN given ON session_key = session WHERE expire_date > now
UNION ALL SELECT 9, id, 0, 0, 0, '', '', '', '' FROM mfa_authenticator JOIN given ON user_id = account
UNION ALL SELECT 10, 0, 0, 0, 0, time_zone, language, '', '' FROM access_preferences JOIN given ON user_id = account
"""
_RIGHTS_WIDTH = 9


@dataclass(frozen=True, slots=True)
class RowCount:
    """Rows of which a part shows only how many there are."""

    rows: "QuerySet[Any, Any]"


PartRows = Iterable["QuerySet[Any, Any] | RowCount"]


def list_rows_about(experiment: Experiment) -> "list[QuerySet[Any]]":
    """Return the rows that pages about an experiment have in common.

    The mirror writes jobs, dependencies and runs in one transaction with the row of their experiment (`refreshed_at`).
    """
    return [
        Experiment.objects.filter(pk=experiment.pk),
        Action.objects.active().defer_long_fields().filter(experiment=experiment).order_by("pk"),
        TeamExperiment.objects.filter(experiment=experiment).order_by("pk").values("team"),
        Note.objects.filter(experiment=experiment, removed_at=None).order_by("pk").values("pk"),
    ]


class Unchanged(Exception):
    """The tab shows already what it would get."""


@dataclass(frozen=True, slots=True)
class _Question:
    """What to ask for a stamp: who looks at what, a statement, what else counts, and the rights by which it was made.

    `shows_files` says whether the part is about what is in no row. The same rows are shown otherwise in another time
    zone or language.
    """

    account: int
    session: str
    path: str
    zone: str
    language: str
    sql: str
    params: tuple[Any, ...]
    besides: Callable[[], object]
    shows_files: bool
    rights: str = ""


# The session, the address, and the language that the browser asks for.
_Key = tuple[str, str, str]
_kept: TTLCache[_Key, _Question] = TTLCache(MOST_KEPT, KEPT_SECONDS)
_lock = Lock()


def begin_part(
    request: HttpRequest, shown: PartRows, besides: Callable[[], object] = tuple, *, shows_files: bool = False
) -> None:
    """Stamp the part that is about to be made of these rows; raise Unchanged if the tab shows that already.

    Call it before anything of the part is read, which then may be newer than the stamp and never older. `besides` is
    what else the part shows; it is asked at each tick and must cost little. With `shows_files` the part is made anew
    more often.
    """
    question = _make_question(request, shown, besides, shows_files=shows_files)
    rights, stamp = _compute_stamp(question)
    with _lock:
        _kept[_get_key(request)] = replace(question, rights=rights)
    request.live_stamp = stamp  # type: ignore[attr-defined]
    if _read_known_stamp(request) == stamp:
        raise Unchanged


def get_stamp(request: HttpRequest) -> str:
    """Return the stamp of the part that is being made; a part that was not begun is an error."""
    stamp: str = request.live_stamp  # type: ignore[attr-defined]
    return stamp


class UnchangedMiddleware:
    """Answers 204 to a tab that shows already what it would get, for as long as its sign-in and rights are the same.

    Everything that a request passes on its way to a page costs more than this question.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve the request, if it is not such a tab's."""
        return HttpResponse(status=204) if _is_unchanged(request) else self.get_response(request)


def answer_if_changed(view: View) -> View:
    """Have a page answer 204 when it is about to make the part that the tab shows already."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except Unchanged:
            return HttpResponse(status=204)

    return cast(View, answer)


def _read_known_stamp(request: HttpRequest) -> str:
    """Return the stamp that a tab has; blank for who has none."""
    return request.headers.get(HEADER, "") if request.method == "GET" else ""


def _get_key(request: HttpRequest) -> _Key:
    session = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    return session, request.get_full_path(), request.headers.get("Accept-Language", "")


def _is_unchanged(request: HttpRequest) -> bool:
    stamp, key = _read_known_stamp(request), _get_key(request)
    if not (stamp and key[0]):  # nobody is signed in
        return False
    with _lock:
        question = _kept.get(key)
    return question is not None and _compute_stamp(question) == (question.rights, stamp)


def _compute_stamp(question: _Question) -> tuple[str, str]:
    """Return digests of the rights of whoever looks, and of these with all that the part shows. One query."""
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(question.sql, [question.account, question.session, now, *question.params])
        rows = cursor.fetchall()
    rights = _compute_digest(sorted(repr(row) for row in rows if row[0] == 0))
    shown = [row for row in rows if row[0] != 0]
    # Not those of all tabs end at the same moment.
    seconds = FILES_SECONDS if question.shows_files else MOST_SECONDS
    period = (time.time() + crc32(f"{question.account} {question.path}".encode()) % seconds) // seconds
    state = [
        __version__,
        question.path,
        question.zone,
        question.language,
        rights,
        period,
        look_once_a_second(_digest_clock),
        question.besides(),
        shown,
    ]
    return rights, _compute_digest(state)


def _compute_digest(state: object) -> str:
    return blake2b(repr(state).encode(), digest_size=16).hexdigest()


@ttl_cache(ttl=1)
def look_once_a_second(look: Callable[[], object]) -> object:
    """Return what `look` returns, or has returned within a second to another tab of this process."""
    return look()


def _digest_clock() -> str:
    """Return a digest of what changes when its time comes: which mirrors are late, what is frozen."""
    sites = [
        (*(getattr(site, name) for name in _OF_SITE), site.is_mirror_fresh) for site in Site.objects.order_by("pk")
    ]
    freezes = Freeze.objects.current().order_by("pk")
    frozen = [
        (row.pk, row.site_id, row.platform, row.message, row.starts_at, row.ends_at, row.is_active) for row in freezes
    ]
    return _compute_digest([sites, frozen])


def _make_question(
    request: HttpRequest, shown: PartRows, besides: Callable[[], object], *, shows_files: bool
) -> _Question:
    """Make one statement of all rows: each is marked with the number of its kind, rights with 0."""
    parts = [(_RIGHTS, (), _RIGHTS_WIDTH), *_compile_rows(shown)]
    widest = max(width for _, _, width in parts)
    texts = [_number_rows(number, text, widest - width) for number, (text, _, width) in enumerate(parts)]
    params = tuple(param for _, given, _ in parts for param in given)
    session, path, _ = _get_key(request)
    return _Question(
        account=get_actor(request).pk,
        session=session,
        path=path,
        zone=timezone.get_current_timezone_name(),
        language=translation.get_language(),
        sql=intern(" UNION ALL ".join(texts)),
        params=params,
        besides=besides,
        shows_files=shows_files,
    )


def _number_rows(number: int, text: str, missing: int) -> str:
    """Return rows in the form of all others: each as one text on PostgreSQL, with as many columns on SQLite."""
    if connection.vendor == "postgresql":
        return f"SELECT {number}, CAST(part AS text) FROM ({text}) part"  # noqa: S608  # made by Django, or ours
    return f"SELECT {number}, part.*{', NULL' * missing} FROM ({text}) part"  # noqa: S608


def _compile_rows(shown: PartRows) -> Iterator[tuple[str, tuple[Any, ...], int]]:
    """Yield the SQL of the rows, its parameters, and how many columns it returns."""
    for one in shown:
        rows = one.rows if isinstance(one, RowCount) else one
        compiler = rows.query.get_compiler(rows.db)
        with suppress(EmptyResultSet):
            text, params = compiler.as_sql()
            if isinstance(one, RowCount):
                yield f"SELECT COUNT(*) FROM ({text}) counted", params, 1  # noqa: S608  # made by Django
            else:
                yield text, params, compiler.col_count
