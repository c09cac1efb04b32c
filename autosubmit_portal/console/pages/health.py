"""The health of the portal, as `manage.py doctor` reports it: a page, and the part that Now repeats."""

from functools import partial
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext, gettext_noop

from autosubmit_portal import health
from autosubmit_portal.access.rights import policy
from autosubmit_portal.agent.findings import Finding, Level
from autosubmit_portal.console import stamps
from autosubmit_portal.console.parts.presentation import mark_code, translate
from autosubmit_portal.console.site import console
from experiments.models import Site

# What people call a part where its own name would not tell them.
TITLES = {
    "migrations": gettext_noop("Tables"),
    "trail": gettext_noop("Audit trail"),
    "search": gettext_noop("Searches"),
    "queue": gettext_noop("Waiting"),
    "program": "Autosubmit",
}
LOOKS = {Level.OK: "state-succeeded", Level.WARN: "state-warned", Level.FAIL: "state-failed"}
# Now says itself which sites are unhealthy or stale, and what has waited for long, with links.
ON_NOW = ("broker", "workers", "disk")


def health_page(request: HttpRequest) -> HttpResponse:
    """Show all findings with their remedies, the worst first, to people who may see all sites."""
    if not policy.may_view_all(request.user, Site):
        raise PermissionDenied
    stamps.begin_part(request, (), partial(stamps.look_once_a_second, health.examine))
    context = {**console.each_context(request), "title": gettext("Health"), **describe_findings(health.examine())}
    return TemplateResponse(request, "admin/portal/health.html", context)


def list_failing() -> list[Finding]:
    """Return what fails, as far as Now does not say so itself."""
    return [finding for finding in health.examine(ON_NOW) if finding.level is Level.FAIL]


def list_failures(user: Any) -> list[dict[str, Any]]:
    """Return the rows of what fails, as far as Now does not say so itself."""
    if not policy.may_view_all(user, Site):
        return []
    return [describe_finding(finding) for finding in list_failing()]


def describe_findings(findings: list[Finding]) -> dict[str, Any]:
    """Return what `findings.html` shows, the worst first."""
    findings = sorted(findings, key=lambda finding: -finding.level)
    levels = [finding.level for finding in findings]
    return {
        "rows": [describe_finding(finding) for finding in findings],
        "failures": levels.count(Level.FAIL),
        "warnings": levels.count(Level.WARN),
    }


def describe_finding(finding: Finding) -> dict[str, Any]:
    """Return what a page shows of a finding."""
    return {
        "part": gettext(TITLES.get(finding.part, finding.part.capitalize())),
        "word": gettext(finding.word),
        "look": LOOKS[finding.level],
        "text": mark_code(translate(finding.text)),
        "remedy": mark_code(translate(finding.remedy)),
    }
