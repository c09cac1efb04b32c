"""The health of the portal: one examination for /healthz, `doctor`, /metrics and the console.

Each check yields findings that say what is wrong and what to do. No check waits long or changes anything.
"""

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import Error, connection
from django.db.models import Min
from django.utils import timezone
from django_q.brokers import get_broker

from autosubmit_portal import privacy
from autosubmit_portal.agent.findings import Finding, Level
from autosubmit_portal.audit import triggers
from autosubmit_portal.db import history
from autosubmit_portal.gateway.caller import NoGateway, Unanswered
from autosubmit_portal.sentences import say
from autosubmit_portal.workers.heartbeat import get_broker_name, get_free_bytes, make_seal
from autosubmit_portal.workers.models import Worker
from experiments import hosts
from experiments.autosubmit.trusted import explain_distrust
from experiments.models import Action, Host, Site, State
from jobs import trigrams

# An idle worker takes an action within a second; creations at one site wait for each other, hence the patience.
WAITING_LONG = timedelta(seconds=20)
WAITING_TOO_LONG = timedelta(minutes=5)
BROKERS = {"database": say("the database"), "redis": "Redis"}
# Of room for run directories, where outputs of actions are written.
LITTLE_BYTES = 1024**3
TOO_LITTLE_BYTES = 100 * 1024**2


AWAY = Finding(Level.FAIL, "unknown", say("The database does not answer."))


# It answers at once or hangs.
GATEWAY_SECONDS = 2.0
_WITHOUT_WALLS = say("; without walls: what an experiment brings along runs as the account of the portal's worker")


class Evidence:
    """What several checks of one examination need, read once."""

    @cached_property
    def sites(self) -> list[Site]:
        """All sites."""
        return list(Site.objects.order_by("slug"))

    @cached_property
    def workers(self) -> list[Worker]:
        """The workers that live."""
        return list(Worker.objects.alive().order_by("queue", "host"))

    @cached_property
    def queues(self) -> dict[str, list[str]]:
        """The queues of sites, with the sites that use each."""
        found: dict[str, list[str]] = {}
        for site in self.sites:
            found.setdefault(site.queue, []).append(site.slug)
        return found


Check = Callable[[Evidence], Iterator[Finding]]


def examine(parts: Collection[str] = ()) -> list[Finding]:
    """Run the checks of some parts, by default all, and return their findings: at least one for each part."""
    evidence, findings = Evidence(), list[Finding]()
    for part in parts or CHECKS:
        is_away = any(finding.word == "down" for finding in findings if finding.part == "database")
        found = [AWAY] if is_away else _check_carefully(CHECKS[part], evidence)
        findings += [replace(finding, part=part) for finding in found]
    return findings


def examine_hosts(site: Site) -> list[Finding]:
    """Return what each host of a site finds of all that an action there needs; the host is the part."""
    return [
        replace(found, text=say("{what}: {text}", what=say(found.word), text=found.text), part=host.name)
        for host in site.hosts.all()
        for found in hosts.examine(host)
    ]


def get_words(findings: list[Finding]) -> dict[str, str]:
    """Return for each part the word of its worst finding."""
    worst: dict[str, Finding] = {}
    for finding in findings:
        if finding.part not in worst or finding.level > worst[finding.part].level:
            worst[finding.part] = finding
    return {part: finding.word for part, finding in worst.items()}


def _check_carefully(check: Check, evidence: Evidence) -> list[Finding]:
    try:
        return list(check(evidence)) or [_report_ok(say("Nothing is amiss."))]
    except Error as error:
        return [Finding(Level.FAIL, "unknown", say("The database cannot answer: {reason}.", reason=_join_lines(error)))]


def check_database(evidence: Evidence) -> Iterator[Finding]:
    """Ask the database for one row."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:
        text = say("The database does not answer: {reason}.", reason=_join_lines(error))
        yield Finding(Level.FAIL, "down", text, say("Start it, or correct PORTAL_DATABASE_URL."))
        return
    yield _report_ok(say("{database} answers.", database=connection.display_name))


def check_migrations(evidence: Evidence) -> Iterator[Finding]:
    """Compare the tables with what the code expects."""
    if _is_migrated():
        yield _report_ok(say("The tables are up to date."))
        return
    _is_migrated.cache_clear()
    yield Finding(
        Level.FAIL,
        "behind",
        say("The tables are not up to date."),
        say("Run `{command} migrate`.", command=settings.COMMAND_LINE),
    )


@cache
def _is_migrated() -> bool:
    """Return whether no migration is missing. True is remembered for the life of the process."""
    return history.is_current(connection)


def check_trail(evidence: Evidence) -> Iterator[Finding]:
    """Check that the database itself still refuses changes of the audit trail."""
    for name in triggers.find_missing():
        text = say("The trigger {name} of the audit trail is missing, switched off or another one.", name=name)
        yield Finding(Level.FAIL, "open", text, triggers.REMEDY)


def check_search(evidence: Evidence) -> Iterator[Finding]:
    """Check that an index finds jobs by a part of their name."""
    if trigrams.is_missing():
        text = say("Every search for names of jobs reads all jobs: the index for it is missing.")
        yield Finding(Level.WARN, "slow", text, trigrams.get_remedy())


def check_broker(evidence: Evidence) -> Iterator[Finding]:
    """Ping the broker of the queue."""
    try:
        get_broker().ping()
    except Exception as error:  # each broker fails in its own way
        remedy = say("Start it, or correct PORTAL_BROKER_URL. Actions wait until then.")
        yield Finding(
            Level.FAIL, "down", say("The broker does not answer: {reason}.", reason=_join_lines(error)), remedy
        )
        return
    yield _report_ok(say("Messages to workers wait in {broker}.", broker=BROKERS[get_broker_name()]))


def check_workers(evidence: Evidence) -> Iterator[Finding]:
    """Check that each queue has a living worker, and that no worker serves a queue of no site (a typing error)."""
    served = {worker.queue for worker in evidence.workers}
    for name, users in evidence.queues.items():
        if name not in served:
            text = say("No worker serves the queue “{name}” of {users}.", name=name, users=", ".join(users))
            yield Finding(Level.FAIL, "missing", text, say("Start one: {command}", command=_describe_start(name)))
    for worker in evidence.workers:
        yield _judge_worker(worker, evidence.queues)


def _judge_worker(worker: Worker, queues: dict[str, list[str]]) -> Finding:
    text = say(
        "A worker with {processes} processes serves the queue “{queue}” on {host}",
        processes=worker.processes,
        queue=worker.queue,
        host=worker.host,
    )
    if worker.seal != make_seal():
        remedy = say("Give it the PORTAL_SECRET_KEY and PORTAL_BROKER_URL of this host.")
        return Finding(Level.FAIL, "foreign", say("{text}, but cannot read our messages.", text=text), remedy)
    if worker.queue not in queues:
        known = ", ".join(f"“{name}”" for name in queues) or say("none")
        remedy = say("Correct its Q_CLUSTER_NAME, or the queue of a site. Queues of sites: {known}.", known=known)
        return Finding(Level.WARN, "stray", say("{text}, which no site uses.", text=text), remedy)
    return _report_ok(say("{text}.", text=text))


def check_queue(evidence: Evidence) -> Iterator[Finding]:
    """Check how long the oldest queued action of each queue has waited."""
    for name, since in find_oldest_queued().items():
        age = timezone.now() - since
        if age > WAITING_LONG:
            level = Level.FAIL if age > WAITING_TOO_LONG else Level.WARN
            word = "stuck" if level is Level.FAIL else "slow"
            text = say("An action has waited for {time} in the queue “{name}”.", time=_describe_span(age), name=name)
            yield Finding(
                level,
                word,
                text,
                say("See what its workers do, or start more: {command}", command=_describe_start(name)),
            )


def find_oldest_queued() -> dict[str, datetime]:
    """Return for each queue since when its oldest action waits without a known reason, such as a missing slot."""
    queued = Action.objects.annotate_queued_at().filter(state=State.QUEUED, message="").values_list("site__queue")
    return dict(queued.annotate(Min("queued_at")).order_by("site__queue"))


def check_mirror(evidence: Evidence) -> Iterator[Finding]:
    """Check when the mirror last looked at each site; a broken site cannot be looked at."""
    for site in evidence.sites:
        if site.is_mirror_fresh:
            by = say(", kept by {name}", name=site.mirrored_by) if site.mirrored_by else ""
            yield _report_ok(say("The mirror of {site} is fresh{by}.", site=site, by=by))
        elif not site.problem:
            age = (
                say("{time} old", time=_describe_span(timezone.now() - site.mirrored_at))
                if site.mirrored_at
                else say("not made yet")
            )
            remedy = say("Start `{command} mirror` where its store can be read.", command=settings.COMMAND_LINE)
            yield Finding(Level.FAIL, "stale", say("The mirror of {site} is {age}.", site=site, age=age), remedy)


def check_sites(evidence: Evidence) -> Iterator[Finding]:
    """Report the problems that the mirror found at each site."""
    for site in evidence.sites:
        if site.problem:
            yield Finding(Level.FAIL, "unhealthy", say("The site {site}: {problem}", site=site, problem=site.problem))
        else:
            version = say(" (Autosubmit {version})", version=site.autosubmit_version) if site.autosubmit_version else ""
            yield _report_ok(say("The site {site} is healthy{version}.", site=site, version=version))
    if not evidence.sites:
        yield Finding(
            Level.WARN,
            "none",
            say("There is no site yet."),
            say("Add one in the console, or run `{command} up`.", command=settings.COMMAND_LINE),
        )


def check_hosts(evidence: Evidence) -> Iterator[Finding]:
    """Ask the gateway of this host which hosts of sites it reaches."""
    names = list(Host.objects.order_by("name").values_list("name", flat=True))
    try:
        absences = hosts.find_absences(names, GATEWAY_SECONDS)
    except (NoGateway, Unanswered) as error:
        yield _report_no_gateway(str(error))
        return
    for name, reason in absences.items():
        if reason:
            remedy = say("Correct what keeps the gateway from it. Commands that run there are not seen meanwhile.")
            yield Finding(Level.FAIL, "away", reason, remedy)
        else:
            yield _report_ok(
                say(
                    "The host {name} is connected{rest}.",
                    name=name,
                    rest=_WITHOUT_WALLS if hosts.is_gateway_own() else "",
                )
            )


def _report_no_gateway(reason: str) -> Finding:
    if settings.STARTS_GATEWAY:
        return _report_ok(say("A worker will start the gateway{rest}.", rest=_WITHOUT_WALLS))
    return Finding(
        Level.FAIL, "down", reason, say("Start the gateway of {directory}.", directory=settings.GATEWAY_DIRECTORY)
    )


def check_program(evidence: Evidence) -> Iterator[Finding]:
    """Check program and owner of each site on this host, which need not be the host of its commands."""
    if not settings.STARTS_GATEWAY:
        yield _report_ok(say("Agents check the programs of their hosts when a connection is tested."))
        return
    for site in evidence.sites:
        untrusted = explain_distrust(Path(site.autosubmit))
        if untrusted:
            text = say(
                "Others choose what is run as the portal's account at {site}: {untrusted}.",
                site=site,
                untrusted=untrusted,
            )
            remedy = say("Give it to root or to that account, writable for nobody else (chown, chmod go-w).")
            yield Finding(Level.WARN, "open", text, remedy)
        elif os.access(site.autosubmit, os.X_OK):
            yield _report_ok(say("{autosubmit} of {site} is on this host.", autosubmit=site.autosubmit, site=site))
        else:
            text = say("{autosubmit} of {site} is not on this host.", autosubmit=site.autosubmit, site=site)
            yield Finding(Level.WARN, "missing", text, say("Well if the workers of the site are on another host."))


def check_disk(evidence: Evidence) -> Iterator[Finding]:
    """Check the free space for outputs of actions: on the hosts of the workers, or here without any."""
    room = {worker.host: worker.free_bytes for worker in evidence.workers}
    for host, free in (room or {say("this host"): get_free_bytes(Path(settings.SPOOL_DIRECTORY))}).items():
        if free is None:
            yield Finding(
                Level.WARN, "unknown", say("The free space for run directories is unknown on {host}.", host=host)
            )
        elif free > LITTLE_BYTES:
            yield _report_ok(
                say("{free} GiB are free for run directories on {host}.", free=f"{free / 1024**3:,.0f}", host=host)
            )
        else:
            level = Level.WARN if free > TOO_LITTLE_BYTES else Level.FAIL
            text = say(
                "Only {free} MiB are free for run directories on {host}.", free=f"{free / 1024**2:,.0f}", host=host
            )
            yield Finding(level, "low" if level is Level.WARN else "full", text, say("Free some space on that disk."))


def check_files(evidence: Evidence) -> Iterator[Finding]:
    """Check that other accounts of this host cannot read the portal's files."""
    found = privacy.find_open_files(settings.PRIVATE_FILES)
    if found:
        yield Finding(Level.WARN, "open", privacy.describe_open_files(found), privacy.REMEDY)
    else:
        yield _report_ok(say("No other account of this host reads what the portal keeps."))


CHECKS: dict[str, Check] = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_database,
        check_migrations,
        check_trail,
        check_search,
        check_broker,
        check_workers,
        check_queue,
        check_mirror,
        check_sites,
        check_hosts,
        check_program,
        check_disk,
        check_files,
    )
}


def _describe_start(queue_name: str) -> str:
    is_default = queue_name == settings.Q_CLUSTER["name"]
    return f"`{'' if is_default else f'Q_CLUSTER_NAME={queue_name} '}{settings.COMMAND_LINE} qcluster`."


def _report_ok(text: str) -> Finding:
    return Finding(Level.OK, "ok", text)


def _join_lines(error: Any) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _describe_span(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    for length, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds // length} {name}"
    return f"{seconds} s"
