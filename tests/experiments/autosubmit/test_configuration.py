"""Configurations are read as Autosubmit reads them, whatever stands in their files."""

import os
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from experiments.autosubmit.configuration import (
    MAX_BYTES,
    BadConfiguration,
    Configuration,
    NoConfiguration,
    read_configuration,
)
from tests.support.configured import FILES, write

LAUGHS = "*_,*_,*_,*_,*_,*_,*_,*_"
PAIRS = list(pairwise("abcdefghi"))
INI = {
    "conf/autosubmit_a000.conf": "[config]\nEXPID = a000\nMAXWAITINGJOBS = 20\n[mail]\nTO = \n",
    "conf/expdef_a000.conf": "[DEFAULT]\nEXPID = a000\n[experiment]\nDATELIST = 20000101 \nMEMBERS = fc0 %d\n",
    "conf/jobs_a000.conf": "[SIM]\n# a comment\nFILE = sim.sh\nQueue = debug\n",
    "conf/platforms_a000.conf": "[mn5]\nUSER = ana\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "a000"
    made.mkdir()
    return made


def read(folder: Path, files: dict[str, str]) -> Configuration:
    write(folder, files)
    return read_configuration(folder, {}, "Control run")


def test_the_files_of_autosubmit_3_are_read_as_written(folder: Path) -> None:
    found = read(folder, INI)
    assert found.values["conf"] == {"config": {"EXPID": "a000", "MAXWAITINGJOBS": "20"}, "mail": {"TO": ""}}
    assert found.values["exp"] == {"experiment": {"DATELIST": "20000101", "MEMBERS": "fc0 %d", "EXPID": "a000"}}
    assert found.values["jobs"] == {"SIM": {"FILE": "sim.sh", "Queue": "debug"}}
    assert found.values["proj"] is None


def test_yaml_is_merged_from_conf_and_from_what_it_names(folder: Path) -> None:
    found = read(folder, FILES)
    assert found.files == [
        "conf/expdef_a000.yml",
        "conf/minimal.yml",
        "proj/model/as_conf/jobs.yml",
        "proj/model/as_conf/platforms.yml",
    ]
    assert found.values["DEFAULT"] == {
        "EXPID": "a000",
        "HPCARCH": "MN5",
        "CUSTOM_CONFIG": f"{folder}/proj/model/as_conf",
        "DESCRIPTION": "Control run",
    }
    assert found.values["PROJDIR"] == f"{folder}/proj/model"


def test_jobs_have_the_form_in_which_autosubmit_uses_them(folder: Path) -> None:
    assert read(folder, FILES).values["JOBS"]["SIM"] == {
        "FILE": "sim.sh",
        "DEPENDENCIES": {"INI": {}, "SIM-1": {}},
        "WALLCLOCK": "00:30",
        "NAME": "fc0_sim",
        "ADDITIONAL_FILES": [],
    }


def test_the_main_platform_is_named_at_the_top(folder: Path) -> None:
    values = read(folder, FILES).values
    assert (values["HPCARCH"], values["HPCTYPE"]) == ("MN5", "slurm")
    assert values["HPCROOTDIR"] == "/gpfs/bsc32/ana/a000"
    assert values["HPCLOGDIR"] == "/gpfs/bsc32/ana/a000/LOG_a000"


@pytest.mark.parametrize(("place", "wins"), [("PRE", "conf"), ("POST", "custom")])
def test_a_custom_file_is_under_or_over_those_in_conf(folder: Path, place: str, wins: str) -> None:
    files = {
        "conf/a.yml": f"DEFAULT:\n  CUSTOM_CONFIG:\n    {place}: '%ROOTDIR%/b.yml'\nX:\n  Y: conf\n  Z: 1\n",
        "b.yml": "x:\n  y: custom\n  w: [1]\n",
    }
    assert read(folder, files).values["X"] == {"Y": wins, "Z": 1, "W": [1]}


def test_a_custom_file_may_name_others(folder: Path) -> None:
    files = {
        "conf/a.yml": "DEFAULT: {CUSTOM_CONFIG: '%ROOTDIR%/b.yml,%ROOTDIR%/c.yml'}\n",
        "b.yml": "DEFAULT: {CUSTOM_CONFIG: {POST: '%ROOTDIR%/b.yml %ROOTDIR%/d.yml'}}\nX: {B: 1, D: 0}\n",
        "c.yml": "X: {C: 1}\n",
        "d.yml": "X: {D: 1}\n",
    }
    assert read(folder, files).values["X"] == {"B": 1, "C": 1, "D": 1}


def test_a_section_with_for_stands_for_several(folder: Path) -> None:
    text = "JOBS:\n  SIM:\n    FOR:\n      NAME: [a, b]\n      SPLITS: [1, 2]\n    FILE: '%NAME%.sh'\n"
    jobs = read(folder, {"conf/jobs.yml": text}).values["JOBS"]
    assert {name: (job["FILE"], job["SPLITS"]) for name, job in jobs.items()} == {
        "SIM_A": ("a.sh", "1"),
        "SIM_B": ("b.sh", "2"),
    }


def test_yaml_is_read_as_yaml_1_2(folder: Path) -> None:
    text = "A:\n  B: 48:00\n  C: yes\n  D: 010\n  E: 1e3\n  F: 2000-01-01\n  G: .nan\n  H: 0x1F\n  I: ~\n"
    assert read(folder, {"conf/a.yml": text}).values["A"] == {
        "B": "48:00", "C": "yes", "D": 10, "E": 1000.0, "F": "2000-01-01", "G": "nan", "H": 31, "I": None,
    }  # fmt: skip


def test_what_the_last_command_was_is_no_configuration(folder: Path) -> None:
    files = {"conf/as_misc.yml": "AS_MISC: true\nAS_COMMAND: run\n", "conf/a.yml": "X: 1\n"}
    assert "AS_COMMAND" not in read(folder, files).values


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "a: 1\na: 2",
        "hello",
        "a: &a [*a]",
        "a: " + "[" * 100_000,
        "- " * 2000 + "x",
        "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(f"{b}: &{b} [{LAUGHS.replace('_', a)}]\n" for a, b in PAIRS),
        "a: &a {k: 1}\n" + "".join(f"{b}: &{b} {{<<: [{LAUGHS.replace('_', a)}]}}\n" for a, b in PAIRS),
        "a: " + "1" * 5000,
        "a: 0x" + "f" * 5000,
        "a: \x00",
        "JOBS: {SIM: {FOR: {}}}\nA: {FOR: {NAME: []}}",
        "JOBS: {SIM: {FOR: {NAME: [a, b], X: [1]}}}",
        f"A: {{FOR: {{NAME: {list(range(500))}}}, B: {{FOR: {{NAME: {list(range(500))}}}, C: 1}}}}",
        "A: {" + ", ".join(f"K{n}: '{f'%A.K{n + 1}%' * 200}'" for n in range(8)) + ", K8: xxxxxxxxxx}",
    ],
)  # fmt: skip
def test_a_hostile_file_is_refused_by_name(folder: Path, text: str) -> None:
    with pytest.raises(BadConfiguration, match=r"conf/bad\.yml cannot be"):
        read(folder, {"conf/bad.yml": text})


def test_an_ini_file_that_is_broken_is_named(folder: Path) -> None:
    with pytest.raises(BadConfiguration, match=r"conf/jobs_a000\.conf cannot be read"):
        read(folder, INI | {"conf/jobs_a000.conf": "FILE = sim.sh\n"})


def test_bytes_that_are_no_text_are_refused(folder: Path) -> None:
    write(folder, {"conf/bad.yml": ""})
    (folder / "conf/bad.yml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(BadConfiguration, match=r"conf/bad\.yml cannot be read"):
        read_configuration(folder, {})


def test_a_file_of_10_mb_is_refused_with_the_limit(folder: Path) -> None:
    with pytest.raises(BadConfiguration, match=r"conf/big\.yml cannot be read: it is longer than 1,048,576 bytes"):
        read(folder, {"conf/big.yml": "a: b\n" * 2_000_000})


def test_many_files_are_refused_that_are_too_long_together(folder: Path) -> None:
    comment = "# " + "x" * (MAX_BYTES // 3)
    with pytest.raises(BadConfiguration, match="longer than 2,097,152 bytes together"):
        read(folder, {f"conf/{number}.yml": comment for number in range(4)})


def test_a_refusal_does_not_show_what_stands_in_the_file(folder: Path) -> None:
    broken = {"jobs_a000.conf": "[a]\nhunter2\n", "x.yml": "a: !!int hunter2", "y.yml": "a: [hunter2"}
    for name, text in broken.items():
        with pytest.raises(BadConfiguration) as refusal:
            read(folder, (INI if name.endswith("conf") else {}) | {f"conf/{name}": text})
        assert "hunter2" not in str(refusal.value)
        shutil.rmtree(folder / "conf")


def test_many_files_beside_a_large_one_are_refused(folder: Path) -> None:
    large = "A: [" + ",".join("1" * 100_000) + "]\n"
    with pytest.raises(BadConfiguration, match="too many for their size"):
        read(folder, {"conf/a.yml": large} | {f"conf/b{number}.yml": "X: 1\n" for number in range(150)})


def test_files_outside_of_the_experiment_are_left_out(folder: Path) -> None:
    write(folder.parent, {"outside.yml": "SECRET_PLAN: 1\n"})
    names = (f"{folder.parent}/outside.yml", "%ROOTDIR%/../outside.yml", "~/such.yml", "%ROOTDIR%/none.yml")
    text = f"DEFAULT:\n  CUSTOM_CONFIG: '{','.join(names)}'\n"
    found = read(folder, {"conf/a.yml": text})
    assert "SECRET_PLAN" not in found.values
    assert [reason.partition(" is ")[2] for reason in found.left_out] == [
        "outside of the folder of a000",
        "outside of the folder of a000",
        "outside of the folder of a000",
        "not found",
    ]


def test_many_names_of_files_that_are_not_read_are_refused(folder: Path) -> None:
    with pytest.raises(BadConfiguration, match="more than 200 files are named"):
        read(folder, {"conf/a.yml": "DEFAULT:\n  CUSTOM_CONFIG: {POST: [" + ",".join(map(str, range(300))) + "]}\n"})


def test_a_link_that_leads_out_is_left_out(folder: Path) -> None:
    write(folder.parent, {"outside.yml": "SECRET_PLAN: 1\n"})
    write(folder, {"conf/a.yml": "X: 1\n"})
    (folder / "conf/b.yml").symlink_to(folder.parent / "outside.yml")
    found = read_configuration(folder, {})
    assert "SECRET_PLAN" not in found.values
    assert found.left_out == ["conf/b.yml is a link out of the folder"]


def test_a_link_that_stays_inside_is_followed(folder: Path) -> None:
    write(folder, {"conf/a.yml": "X: 1\n", "other/b.yml": "Y: 2\n"})
    (folder / "conf/b.yml").symlink_to("../other/b.yml")
    assert read_configuration(folder, {}).values["Y"] == 2


def test_an_ini_file_that_leads_out_is_refused(folder: Path) -> None:
    write(folder.parent, {"outside.conf": "[a]\nb = c\n"})
    write(folder, INI)
    (folder / "conf/proj_a000.conf").symlink_to(folder.parent / "outside.conf")
    with pytest.raises(BadConfiguration, match="leads out of"):
        read_configuration(folder, {})


def test_a_named_pipe_is_not_waited_for(folder: Path) -> None:
    write(folder, {"conf/a.yml": "X: 1\n"})
    os.mkfifo(folder / "conf" / "b.yml")
    with pytest.raises(BadConfiguration, match="Not a regular file"):
        read_configuration(folder, {})


@pytest.mark.parametrize("files", [{}, {"conf/readme.txt": "none"}])
def test_an_experiment_without_files_has_no_configuration(folder: Path, files: dict[str, str]) -> None:
    with pytest.raises(NoConfiguration, match="a000 has no files of configuration"):
        read(folder, files)


@pytest.mark.parametrize(
    "values",
    [
        "JOBS: text\n", "JOBS:\n  SIM:\n", "JOBS: {SIM: {FILE: 3, DEPENDENCIES: [x], NOTIFY_ON: 1}}\n", "DEFAULT: 1\n",
        "WRAPPERS: {W: {JOBS_IN_WRAPPER: 3}}\n", "PLATFORMS: [1]\n", "DEFAULT: {HPCARCH: [x], CUSTOM_CONFIG: [1]}\n",
        "PROJECT: {PROJECT_DESTINATION: 3}\n", "1: {2: 3}\n", "DEFAULT: {CUSTOM_CONFIG: \"a\\0b\"}\n",
    ],
)  # fmt: skip
def test_values_of_unforeseen_kinds_are_shown_as_they_are(folder: Path, values: str) -> None:
    found: Any = read(folder, {"conf/a.yml": values})
    assert found.files == ["conf/a.yml"]
