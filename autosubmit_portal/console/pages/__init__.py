"""The pages of the console, a file per model. Importing them registers them."""

from autosubmit_portal.console.pages import (
    accounts,
    action,
    api_token,
    audit_entry,
    delegation,
    experiment,
    freeze,
    job,
    lockout,
    run,
    site,
    teams,
)

__all__ = [
    "accounts",
    "action",
    "api_token",
    "audit_entry",
    "delegation",
    "experiment",
    "freeze",
    "job",
    "lockout",
    "run",
    "site",
    "teams",
]
