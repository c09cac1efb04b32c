"""Metrics for Prometheus. All are read from the database on request, so any web process can answer.

docs/operations.md lists them with alerts to start from.
"""

import platform
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import django
from django.conf import settings
from django.db import connection
from django.db.models import Count, DurationField, ExpressionWrapper, F, Q, QuerySet, Sum
from django.utils import timezone
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from autosubmit_portal import __version__, health
from autosubmit_portal.agent.findings import Finding, Level
from autosubmit_portal.workers.models import Worker
from experiments.attention.rules import TITLES
from experiments.models import Action, Experiment, Site

PREFIX = "autosubmit_portal"
Metrics = Iterator[Metric]


def write_metrics(accept: str) -> tuple[bytes, str]:
    """Return all metrics and their content type, in the format that an `Accept` header prefers."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(DatabaseCollector())
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class DatabaseCollector(Collector):
    """Reads all numbers on each scrape."""

    def collect(self) -> Metrics:
        """Yield all metrics. Without the database only the health and the build are left."""
        yield from _collect_build()
        findings = health.examine()
        yield from _collect_health(findings)
        if health.get_words(findings)["database"] == "ok" and health.get_words(findings)["migrations"] == "ok":
            for family in FAMILIES:
                yield from family()

    def describe(self) -> Metrics:
        """Return nothing: the registry would otherwise read all numbers once more."""
        return iter(())


def _collect_build() -> Metrics:
    labels = {
        "version": __version__,
        "python": platform.python_version(),
        "django": django.get_version(),
        "database": connection.vendor,
        "broker": "redis" if "redis" in settings.Q_CLUSTER else "database",
    }
    yield InfoMetricFamily(f"{PREFIX}_build", "What runs here.", labels)


def _collect_health(findings: list[Finding]) -> Metrics:
    family = _make_gauge("health", "2 for a part that is well, 1 for one with a warning, 0 for one that fails.", "part")
    worst: dict[str, Level] = {}
    for finding in findings:
        worst[finding.part] = max(finding.level, worst.get(finding.part, Level.OK))
    for part, level in worst.items():
        family.add_metric([part], Level.FAIL - level)
    yield family


def _collect_actions() -> Metrics:
    """Count all actions, and sum up how long those that ended took, in one query."""
    took = ExpressionWrapper(F("ended_at") - F("started_at"), output_field=DurationField())
    ended = Count("pk", filter=Q(ended_at__isnull=False, started_at__isnull=False))
    rows = Action.objects.values("kind", "state").annotate(number=Count("pk"), ended=ended, took=Sum(took))
    counts = _make_gauge("actions", "Actions by kind and state.", "kind", "state")
    help_text = "How long actions took from their start to their end."
    durations = SummaryMetricFamily(f"{PREFIX}_action_duration_seconds", help_text, labels=["kind", "state"])
    for row in rows.order_by("kind", "state"):
        labels = [row["kind"], row["state"]]
        counts.add_metric(labels, row["number"])
        if row["ended"]:
            durations.add_metric(labels, row["ended"], row["took"].total_seconds())
    yield counts
    yield durations


def _collect_queues() -> Metrics:
    queues = sorted(set(Site.objects.values_list("queue", flat=True)))
    family = _make_gauge("oldest_queued_seconds", "How long the oldest queued action has waited; 0 for none.", "queue")
    oldest, now = health.find_oldest_queued(), timezone.now()
    for queue in queues:
        family.add_metric([queue], (now - oldest.get(queue, now)).total_seconds())
    yield family
    alive = _count_by(Worker.objects.alive(), "queue")
    yield _fill_gauge("workers", "Workers (processes qcluster) that live.", "queue", queues, alive)


def _collect_sites() -> Metrics:
    age = _make_gauge("mirror_age_seconds", "Since the mirror last looked at a site.", "site")
    healthy = _make_gauge("site_healthy", "1 for a site without a problem, else 0.", "site")
    slugs = []
    for site in Site.objects.order_by("slug"):
        slugs.append(site.slug)
        healthy.add_metric([site.slug], not site.problem)
        if site.mirrored_at:
            age.add_metric([site.slug], (timezone.now() - site.mirrored_at).total_seconds())
    yield from (age, healthy)
    there = Experiment.objects.filter(gone_at=None)
    yield _fill_gauge("experiments", "Experiments in the store.", "site", slugs, _count_by(there, "site__slug"))
    running = _count_by(there.filter(is_running=True), "site__slug")
    yield _fill_gauge("experiments_running", "Experiments that run, whoever started them.", "site", slugs, running)
    yield _make_attention(slugs)


def _make_attention(slugs: list[str]) -> GaugeMetricFamily:
    """Count what needs somebody by site and rule, 0 included; few experiments have any, which an index finds."""
    rows = Experiment.objects.filter(gone_at=None).exclude(attention_rules="")
    found = Counter(
        (slug, rule)
        for slug, rules in rows.values_list("site__slug", "attention_rules")
        for rule in rules.strip(",").split(",")
    )
    family = _make_gauge("attention", "Experiments that need somebody, by the rule that says so.", "site", "rule")
    for slug in slugs:
        for rule in TITLES:
            family.add_metric([slug, rule], found[slug, rule])
    return family


def _collect_disks() -> Metrics:
    family = _make_gauge("disk_free_bytes", "Room for the output of actions where a worker lives.", "host")
    for host, free in Worker.objects.alive().values_list("host", "free_bytes").distinct().order_by("host"):
        if free is not None:
            family.add_metric([host], free)
    yield family


FAMILIES: tuple[Callable[[], Metrics], ...] = (_collect_actions, _collect_queues, _collect_sites, _collect_disks)


def _make_gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=labels)


def _fill_gauge(name: str, text: str, label: str, values: list[str], counts: dict[str, int]) -> GaugeMetricFamily:
    """Return a gauge with a number for each value, 0 included: an alert needs a 0 to see that something is missing."""
    family = _make_gauge(name, text, label)
    for value in sorted({*values, *counts}):
        family.add_metric([value], counts.get(value, 0))
    return family


def _count_by(rows: QuerySet[Any], field: str) -> dict[str, int]:
    return dict(rows.values_list(field).annotate(Count("pk")).order_by(field))
