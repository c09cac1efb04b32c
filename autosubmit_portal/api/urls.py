"""Addresses of the API, each with and without a slash at its end; neither redirects."""

from django.urls import path, re_path
from rest_framework.views import APIView

from autosubmit_portal.api.routers import PortalRouter
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
    notes,
    performance,
    permissions,
    portal,
    programs,
    runs,
    sites,
    tokens,
    user_metrics,
    wrappers,
)

EXPERIMENT = "v4/experiments/<name:expid>"
JOB = f"{EXPERIMENT}/jobs/<job:job>"

router = PortalRouter()
router.register("v4", portal.IndexViewSet, "index")
router.register("v4/experiments", experiments.ExperimentViewSet, "experiment")
router.register(f"{EXPERIMENT}/runs", runs.RunViewSet, "run")
router.register(EXPERIMENT, configuration.RunConfigurationViewSet, "run-configuration")
router.register(EXPERIMENT, configuration.FileSystemConfigurationViewSet, "configuration")
router.register(EXPERIMENT, user_metrics.UserMetricsViewSet, "user-metrics")
router.register(EXPERIMENT, eta.EtaViewSet, "time-left")
router.register(EXPERIMENT, performance.PerformanceViewSet, "performance")
router.register(f"{EXPERIMENT}/permissions", permissions.PermissionViewSet, "permission")
router.register(f"{EXPERIMENT}/program", programs.ProgramViewSet, "program")
router.register(f"{EXPERIMENT}/wrappers", wrappers.WrapperViewSet, "wrapper")
router.register(f"{EXPERIMENT}/logs", logs.LogViewSet, "log")
router.register(f"{EXPERIMENT}/notes", notes.ExperimentNoteViewSet, "note")
router.register(f"{JOB}/notes", notes.JobNoteViewSet, "job-note")
router.register(f"{JOB}/logs", logs.JobLogViewSet, "job-log")
router.register(f"{EXPERIMENT}/jobs", jobs.JobViewSet, "job")
router.register("v4/actions", actions.ActionViewSet, "action")
router.register("v4/audit", audit.AuditEntryViewSet, "audit-entry")
router.register("v4/tokens", tokens.TokenViewSet, "token")
router.register("v4/auth", tokens.IdentityViewSet, "identity")
router.register("v4/delegations", delegations.DelegationViewSet, "delegation")
router.register("v4/freezes", freezes.FreezeViewSet, "freeze")
router.register("v4/sites", sites.SiteViewSet, "site")

# What is no resource.
VIEWS: dict[str, tuple[type[APIView], str]] = {
    "healthz": (health.HealthView, "health"),
    "metrics": (metrics.MetricsView, "metrics"),
    "v4/schema": (portal.SchemaView, "schema"),
    "v4/docs": (portal.DocsView, "docs"),
}

urlpatterns = [
    *router.urls,
    *(path(address, view.as_view(), name=name) for address, (view, name) in VIEWS.items()),
    *(path(f"{address}/", view.as_view()) for address, (view, _) in VIEWS.items()),
    re_path("^v4/", portal.UnknownRouteView.as_view()),
]
