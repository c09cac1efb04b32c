"""Pickles a job list whose values are all that the YAML reader of Autosubmit makes: run by an interpreter that has it.

    python yaml_values.py FILE [PROTOCOL]

`tests/support/stores/yaml` has what it wrote with the versions of ruamel.yaml that the files are named after.
"""

import pickle
import sys
from pathlib import Path

from ruamel.yaml import YAML  # type: ignore[import-not-found, unused-ignore]

TEXT = """
# a comment
name: a000_20000101_fc0_1_SIM
status: &status 5
section: "SIM"
member: &member fc0
chunk: 0x1
priority: 0b11
platform: !site LOCAL
wallclock: '00:30'
processors: &processors 20
fail_count: 0o2
integers: [1, 0xAB, 0xab, 1_000, 007]
floats: [5.0, 1e3, 1E3, &float 2.5, .inf, .nan, 1.5e+3]
booleans: [true, &boolean false]
texts: [&plain z, 'single', "double"]
literal: |
  a
  b  # no comment
folded: >
  c
  d
times: [2001-01-01, 2001-12-14t21:59:43.10-05:00, 2001-12-15 2:59:43.10]
base: &base {a: 1, b: 2}
merged:
  <<: *base
  c: 3  # a comment
set: !!set {a, b}
ordered: !!omap [a: 1, b: 2]
tagged: [!env "${HOME}", !map {a: 1}, !list [1, 2]]
binary: !!binary aGVsbG8=
nothing: ~
? [1, 2]
: a list as a key
? {a: 1}
: a mapping as a key
"""


def job_list() -> dict[str, dict[str, object]]:
    """Return a job list of one job, in the form of 4.1.12 and later."""
    reader = YAML(typ="rt")
    reader.preserve_quotes = True
    values = reader.load(TEXT)
    attributes = {f"_{name}": values[name] for name in ("name", "status", "section", "member", "chunk")}
    attributes |= {f"_{name}": values[name] for name in ("wallclock", "processors", "fail_count")}
    attributes |= {"priority": values["priority"], "platform_name": values["platform"]}
    return {values["name"]: attributes | {"_cpmip_thresholds": values}}


if __name__ == "__main__":
    protocol = int(sys.argv[2]) if len(sys.argv) > 2 else pickle.HIGHEST_PROTOCOL
    Path(sys.argv[1]).write_bytes(pickle.dumps(job_list(), protocol))
