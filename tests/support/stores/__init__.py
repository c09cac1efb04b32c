"""Job lists that real versions of Autosubmit wrote, and the databases around them; docs/stores.md says how.

Each is of the workflow `small` of tests/support/workflows.py: SETUP > INI > SIM 1 > SIM 2.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PICKLES = sorted(FOLDER.glob("*.pkl"))
YAML_PICKLES = sorted((FOLDER / "yaml").glob("*.pkl"))
"""Lists of one job with values of all kinds that a version of ruamel.yaml makes: see tests/support/yaml_values.py."""

POSTGRES = FOLDER / "postgres-4.1.17.1.sql"

TABLES_4_2 = """
CREATE TABLE jobs (name VARCHAR NOT NULL, id INTEGER, script_name VARCHAR, priority INTEGER, status TEXT NOT NULL,
    frequency VARCHAR, synchronize BOOLEAN, section VARCHAR, chunk INTEGER, member TEXT, splits INTEGER, split INTEGER,
    date VARCHAR, date_split VARCHAR, max_checkpoint_step INTEGER NOT NULL, start_time VARCHAR,
    start_time_timestamp INTEGER, submit_time_timestamp INTEGER, finish_time_timestamp INTEGER, ready_date VARCHAR,
    local_logs_out VARCHAR, local_logs_err VARCHAR, remote_logs_out VARCHAR, remote_logs_err VARCHAR,
    updated_log INTEGER, updated_stats INTEGER, fail_count INTEGER, retrials INTEGER, log_recovery_call_count INTEGER,
    wrapper_type TEXT, wallclock VARCHAR, packed BOOLEAN, current_checkpoint_step INTEGER, platform_name VARCHAR,
    created TEXT, modified TEXT, PRIMARY KEY (name));
CREATE TABLE experiment_structure (e_from VARCHAR NOT NULL, e_to VARCHAR NOT NULL, min_trigger_status VARCHAR,
    completion_status VARCHAR, from_step INTEGER, fail_ok BOOLEAN, PRIMARY KEY (e_from, e_to));
"""
"""The tables of `db/job_list.db` as 4.2.0 makes them."""

ROWS_4_2 = """
INSERT INTO jobs (name, id, priority, status, section, chunk, member, splits, split, date, max_checkpoint_step,
    fail_count, wallclock, platform_name) VALUES
    ('a000_SETUP', 16170, 0, 'COMPLETED', 'SETUP', NULL, NULL, -1, -1, NULL, 0, 0, '00:05', 'LOCAL'),
    ('a000_20000101_fc0_INI', 16222, 1, 'COMPLETED', 'INI', NULL, 'fc0', -1, -1, '2000-01-01T00:00:00', 0, 0, '00:05',
     'LOCAL'),
    ('a000_20000101_fc0_1_SIM', 16273, 2, 'FAILED', 'SIM', 1, 'fc0', -1, -1, '2000-01-01T00:00:00', 0, 2, '00:05',
     'LOCAL'),
    ('a000_20000101_fc0_2_SIM', NULL, 2, 'WAITING', 'SIM', 2, 'fc0', -1, -1, '2000-01-01T00:00:00', 0, 0, '00:05',
     'LOCAL');
INSERT INTO experiment_structure (e_from, e_to) VALUES ('a000_SETUP', 'a000_20000101_fc0_INI'),
    ('a000_20000101_fc0_INI', 'a000_20000101_fc0_1_SIM'), ('a000_20000101_fc0_1_SIM', 'a000_20000101_fc0_2_SIM');
"""

STRUCTURE = "CREATE TABLE experiment_structure (e_from TEXT NOT NULL, e_to TEXT NOT NULL, UNIQUE (e_from, e_to));"
PICKLE_IN_DATABASE = "CREATE TABLE job_pkl (expid VARCHAR NOT NULL, pkl BLOB, modified VARCHAR, PRIMARY KEY (expid));"

WRAPPERS = """
CREATE TABLE wrappers_jobs (package_id INTEGER NOT NULL, package_name VARCHAR NOT NULL, job_name VARCHAR NOT NULL,
    timestamp VARCHAR, PRIMARY KEY (package_id, package_name, job_name));
CREATE TABLE preview_wrappers_jobs (package_id INTEGER NOT NULL, package_name VARCHAR NOT NULL,
    job_name VARCHAR NOT NULL, timestamp VARCHAR, PRIMARY KEY (package_id, package_name, job_name));
"""
"""The tables of wrappers as 4.1.17 makes them; 4.2 adds a column."""

USER_METRICS = (
    "CREATE TABLE user_metrics (user_metric_id INTEGER NOT NULL, run_id INTEGER, job_name TEXT, metric_name TEXT, "
    "metric_value TEXT, modified TEXT, PRIMARY KEY (user_metric_id));"
)

NAMES = ["SETUP", "20000101_fc0_INI", "20000101_fc0_1_SIM", "20000101_fc0_2_SIM"]
EDGES = sorted(pairwise(NAMES))


def configure(home: Path, root: Path) -> None:
    """Write the `.autosubmitrc` of a store whose folders are where `autosubmit configure` puts them."""
    folders = {
        "database": "",
        "local": "",
        "globallogs": "logs",
        "historiclog": "metadata/logs",
        "structures": "metadata/structures",
        "historicdb": "metadata/data",
    }
    lines = [f"[{section}]\npath = {root / folder}\n" for section, folder in folders.items()]
    (home / ".autosubmitrc").write_text("".join(lines))


def make_database(path: Path, script: str, values: Iterable[tuple[str, tuple[object, ...]]] = ()) -> Path:
    """Make a SQLite file: run the script, then each statement with its values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(script)
        for statement, row in values:
            connection.execute(statement, row)
    return path


def make_pickle_database(path: Path, expid: str, data: bytes) -> Path:
    """Make `pkl/job_list_<expid>.db` as 4.1 does with `STORAGE.TYPE: db`."""
    row = (expid, data, "2026-11-25 04:32:08.673113")
    return make_database(path, PICKLE_IN_DATABASE, [("INSERT INTO job_pkl VALUES (?, ?, ?)", row)])
