"""The configuration of an experiment, as its files and as its runs have it, without secrets."""

from experiments.autosubmit.shown_configuration import (
    ConfigurationChange,
    MissingConfiguration,
    ShownConfiguration,
    UnreadableConfiguration,
    compare_configurations,
    read_shown_files,
    read_shown_run,
)
from experiments.autosubmit.store import BrokenStore, locate, read_rc
from experiments.models import Experiment
from jobs.autosubmit.database import Source
from jobs.autosubmit.secrets import mask_text

__all__ = [
    "ConfigurationChange",
    "MissingConfiguration",
    "ShownConfiguration",
    "UnreadableConfiguration",
    "compare_configurations",
    "locate_history",
    "read_configuration_of_run",
    "read_file_configuration",
]


def read_file_configuration(experiment: Experiment) -> ShownConfiguration:
    """Return the configuration that the files of an experiment say now.

    Raises MissingConfiguration and UnreadableConfiguration.
    """
    site = experiment.site
    try:
        store = locate(site.home_folder, site.configuration_file)
        rc = read_rc(site.home_folder, site.configuration_file)
    except BrokenStore as error:
        raise UnreadableConfiguration(mask_text(str(error))) from error
    return read_shown_files(store, rc, experiment.expid, experiment.description)


def locate_history(experiment: Experiment) -> Source:
    """Return where the configurations of the runs are; raise UnreadableConfiguration without a store."""
    try:
        store = locate(experiment.site.home_folder, experiment.site.configuration_file)
    except BrokenStore as error:
        raise UnreadableConfiguration(str(error)) from error
    return store.history_database(experiment.expid)


def read_configuration_of_run(experiment: Experiment, history: Source, run_id: int) -> ShownConfiguration:
    """Return the configuration of a run; an empty one if Autosubmit kept none.

    Raises MissingConfiguration and UnreadableConfiguration.
    """
    return read_shown_run(history, experiment.expid, run_id)
