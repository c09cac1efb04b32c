"""Routes of the configurations of an experiment."""

from typing import Any

from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.api.http.conditional import RevalidatedViewSet
from autosubmit_portal.api.http.viewsets import PortalViewSet
from autosubmit_portal.api.objects import find_experiment, find_mirrored
from autosubmit_portal.api.openapi.documentation import CONDITIONAL, answer, operation
from autosubmit_portal.api.query.queries import SiteQuery
from autosubmit_portal.api.serializers.configuration import FileSystemConfiguration, RunConfiguration
from experiments.configurations import ShownConfiguration, read_configuration_of_run, read_file_configuration


class RunConfigurationViewSet(RevalidatedViewSet):
    """The configuration of a run."""

    tag = "Configurations"

    @operation(
        "get_run_configuration",
        "Show the configuration of a run",
        {200: answer(RunConfiguration, "The configuration.")},
        parameters=[SiteQuery, *CONDITIONAL],
        errors=[503],
    )
    @action(detail=False, url_path="runs/<int:run_id>/config")
    def config(self, request: Request, expid: str, run_id: int) -> Response:
        """Show what a run was created with, as Autosubmit's history keeps it; empty if that has none.

        Passwords, tokens and keys are hidden.
        """
        experiment = find_mirrored(request, expid, SiteQuery.read(request).get("site"))
        self.revalidate_file(request, experiment, "history")
        found = read_configuration_of_run(experiment, run_id)
        return Response({"run_id": run_id, "config": _answer_config(found), "masked": found.masked})


class FileSystemConfigurationViewSet(PortalViewSet):
    """The configuration in the files of an experiment."""

    tag = "Configurations"

    @operation(
        "get_filesystem_configuration",
        "Show the configuration in the files",
        {200: answer(FileSystemConfiguration, "The configuration.")},
        parameters=[SiteQuery],
        errors=[503],
    )
    @action(detail=False, url_path="filesystem-config", name="Configuration in the files")
    def filesystem_config(self, request: Request, expid: str) -> Response:
        """Show what the files of an experiment say now, merged in the order of Autosubmit.

        Of Autosubmit 3 it has the parts `conf`, `exp`, `platforms`, `jobs` and `proj`, of Autosubmit 4 the sections of
        all YAML files, with what `DEFAULT.CUSTOM_CONFIG` names and placeholders replaced. Passwords, tokens and keys
        are hidden.
        """
        experiment = find_experiment(request, expid, SiteQuery.read(request).get("site"))
        found = read_file_configuration(experiment)
        return Response(
            {"config": _answer_config(found), "masked": found.masked, "files": found.files, "left_out": found.left_out}
        )


def _answer_config(found: ShownConfiguration) -> dict[str, Any]:
    values = found.values
    return values | {"contains_nones": not values or None in values.values()}
