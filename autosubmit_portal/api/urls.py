"""Addresses of the API, each with and without a slash at its end; neither redirects."""

from django.urls import URLPattern, path, re_path, register_converter
from django.urls.converters import StringConverter
from rest_framework.views import APIView

from autosubmit_portal.api.http import permissions
from autosubmit_portal.api.views import (
    actions,
    audit,
    configuration,
    delegations,
    eta,
    experiments,
    freezes,
    health,
    jobs,
    logs,
    metrics,
    portal,
    sites,
    tokens,
    user_metrics,
    wrappers,
)


class NameConverter(StringConverter):
    """The name of an experiment, a job or a site: a part of an address without NUL, which databases refuse."""

    regex = r"[^/\x00]+"


class JobConverter(StringConverter):
    """The name of a job, in which Autosubmit accepts slashes. Servers decode `%2F`, so that it arrives as one."""

    regex = r"[^/\x00]+(?:/[^/\x00]+)*"


register_converter(NameConverter, "name")
register_converter(JobConverter, "job")

ROUTES: dict[str, tuple[type[APIView], str]] = {
    "healthz": (health.HealthView, "api-health"),
    "metrics": (metrics.MetricsView, "api-metrics"),
    "v4": (portal.IndexView, "api-index"),
    "v4/schema": (portal.SchemaView, "api-schema"),
    "v4/docs": (portal.DocsView, "api-docs"),
    "v4/experiments": (experiments.ExperimentsView, "api-experiments"),
    "v4/experiments/<name:expid>": (experiments.ExperimentView, "api-experiment"),
    "v4/experiments/<name:expid>/runs": (experiments.RunsView, "api-runs"),
    "v4/experiments/<name:expid>/runs/<int:run_id>/config": (
        configuration.RunConfigurationView,
        "api-run-configuration",
    ),
    "v4/experiments/<name:expid>/filesystem-config": (
        configuration.FileSystemConfigurationView,
        "api-filesystem-configuration",
    ),
    "v4/experiments/<name:expid>/runs/<int:run_id>/user-metrics": (
        user_metrics.MetricsView,
        "api-user-metrics",
    ),
    "v4/experiments/<name:expid>/user-metrics-runs": (user_metrics.MetricRunsView, "api-user-metrics-runs"),
    "v4/experiments/<name:expid>/permissions": (permissions.PermissionsView, "api-permissions"),
    "v4/experiments/<name:expid>/wrappers": (wrappers.WrappersView, "api-wrappers"),
    "v4/experiments/<name:expid>/eta": (eta.EtaView, "api-eta"),
    "v4/experiments/<name:expid>/jobs": (jobs.JobsView, "api-jobs"),
    "v4/experiments/<name:expid>/jobs/<job:job>/parents": (jobs.ParentsView, "api-parents"),
    "v4/experiments/<name:expid>/jobs/<job:job>/children": (jobs.ChildrenView, "api-children"),
    "v4/experiments/<name:expid>/logs": (logs.LogsOfExperimentView, "api-logs"),
    "v4/experiments/<name:expid>/logs/<name:log>": (logs.LogOfExperimentView, "api-log"),
    "v4/experiments/<name:expid>/jobs/<job:job>/logs": (logs.LogsOfJobView, "api-job-logs"),
    "v4/experiments/<name:expid>/jobs/<job:job>/logs/<name:log>": (logs.LogOfJobView, "api-job-log"),
    "v4/experiments/<name:expid>/jobs/<job:job>": (jobs.JobView, "api-job"),
    "v4/actions": (actions.ActionsView, "api-actions"),
    "v4/actions/<int:action_id>": (actions.ActionView, "api-action"),
    "v4/actions/<int:action_id>/output": (actions.OutputView, "api-output"),
    "v4/actions/<int:action_id>/cancel": (actions.CancelView, "api-cancel"),
    "v4/actions/<int:action_id>/approve": (actions.ApproveView, "api-approve"),
    "v4/actions/<int:action_id>/reject": (actions.RejectView, "api-reject"),
    "v4/audit": (audit.AuditView, "api-audit"),
    "v4/audit/<int:entry_id>": (audit.AuditEntryView, "api-audit-entry"),
    "v4/tokens": (tokens.TokensView, "api-tokens"),
    "v4/tokens/<name:token_id>": (tokens.TokenView, "api-token"),
    "v4/auth/verify-token": (tokens.VerifyTokenView, "api-verify-token"),
    "v4/delegations": (delegations.DelegationsView, "api-delegations"),
    "v4/delegations/<int:delegation_id>": (delegations.DelegationView, "api-delegation"),
    "v4/freezes": (freezes.FreezesView, "api-freezes"),
    "v4/freezes/<int:freeze_id>": (freezes.FreezeView, "api-freeze"),
    "v4/sites": (sites.SitesView, "api-sites"),
    "v4/sites/<name:slug>": (sites.SiteView, "api-site"),
}


def _patterns() -> list[URLPattern]:
    made = [path(route, view.as_view(), name=name) for route, (view, name) in ROUTES.items()]
    made += [path(f"{route}/", view.as_view()) for route, (view, _) in ROUTES.items()]
    return [*made, re_path("^v4/", portal.UnknownRouteView.as_view())]


urlpatterns = _patterns()
