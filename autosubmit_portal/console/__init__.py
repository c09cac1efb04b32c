"""The console: the pages through which people operate the portal. One file per model; `console` is the site."""

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
