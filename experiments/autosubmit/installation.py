"""The parameters that an Autosubmit installation adds to the configuration of each experiment.

Source: the rc file, and `BasicConfig` of Autosubmit 4.1.17 for the names and for what is not in the file.
"""

import re
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

_OPTIONS = {
    "ALLOWED_HOSTS": ("hosts", "authorized", ""),
    "AUTOSUBMIT_API_URL": ("autosubmitapi", "url", "http://192.168.11.91:8081"),
    "CUSTOM_PLATFORMS_PATH": ("conf", "custom_platforms", ""),
    "DATABASE_BACKEND": ("database", "backend", "sqlite"),
    "DATABASE_CONN_URL": ("database", "connection_url", ""),
    "DB_DIR": ("database", "path", ""),
    "DB_FILE": ("database", "filename", "autosubmit.db"),
    "DEFAULT_JOBS_CONF": ("conf", "jobs", ""),
    "DEFAULT_OUTPUT_DIR": ("defaultstats", "path", "/esarchive/autosubmit/as_output/stats"),
    "DEFAULT_PLATFORMS_CONF": ("conf", "platforms", ""),
    "DENIED_HOSTS": ("hosts", "forbidden", ""),
    "GLOBAL_LOG_DIR": ("globallogs", "path", "/esarchive/autosubmit/Aslogs"),
    "HISTORICAL_LOG_DIR": ("historiclog", "path", "/esarchive/autosubmit/as_metadata/logs"),
    "JOBDATA_DIR": ("historicdb", "path", "/esarchive/autosubmit/as_metadata/data"),
    "LOCAL_ROOT_DIR": ("local", "path", ""),
    "MAIL_FROM": ("mail", "mail_from", ""),
    "SMTP_SERVER": ("mail", "smtp_server", ""),
    "STRUCTURES_DIR": ("structures", "path", "/esarchive/autosubmit/as_metadata/structures"),
}
_CONSTANTS: dict[str, Any] = {
    "AS_TIMES_DB": "as_times.db",
    "CONFIG_FILE_FOUND": True,
    "LOCAL_ASLOG_DIR": "ASLOGS",
    "LOCAL_PROJ_DIR": "proj",
    "LOCAL_TMP_DIR": "tmp",
    "AS_ENV_CURRENT_USER": None,  # who runs the command; reading is no command
}
_LOG_RECOVERY_TIMEOUT_SECONDS = 60


def read_parameters(rc: RawConfigParser) -> dict[str, Any]:
    """Return what every experiment of the installation has in its configuration, by Autosubmit's names."""
    values = {
        name: rc.get(section, option, raw=True, fallback=default)
        for name, (section, option, default) in _OPTIONS.items()
    }
    timeout = rc.get("config", "log_recovery_timeout", raw=True, fallback="")
    return (
        _CONSTANTS
        | values
        | {"DB_PATH": str(Path(values["DB_DIR"]) / values["DB_FILE"]), "LOG_RECOVERY_TIMEOUT": _parse_seconds(timeout)}
    )


def _parse_seconds(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else _LOG_RECOVERY_TIMEOUT_SECONDS
