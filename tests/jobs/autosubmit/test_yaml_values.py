"""Job lists whose values are of the types of Autosubmit's YAML reader."""

import subprocess
from pathlib import Path

import pytest

from jobs.autosubmit.job_record import JobRecord
from jobs.autosubmit.pickles.unpickler import load
from jobs.autosubmit.refusal import Refused
from tests.support import stores
from tests.support.job_lists import read_job_list
from tests.support.waiting import PATIENCE

PROGRAM = Path(__file__).parents[2] / "support" / "yaml_values.py"


def is_whole(job: JobRecord) -> bool:
    known = (job.name, job.status, job.section, job.member, job.chunk, job.priority, job.fail_count)
    assert known == ("a000_20000101_fc0_1_SIM", "COMPLETED", "SIM", "fc0", 1, 3, 2)
    return (job.platform, job.wallclock, job.processors) == ("LOCAL", "00:30", "20")


@pytest.mark.parametrize("recorded", stores.YAML_PICKLES, ids=lambda path: path.stem)
def test_a_list_with_all_values_of_a_yaml_reader_is_read(recorded: Path) -> None:
    (job,) = read_job_list(recorded).jobs
    assert is_whole(job)


@pytest.mark.parametrize("protocol", ["2", "3", "4", "5"])
def test_a_list_with_all_values_of_the_installed_yaml_reader_is_read(
    autosubmit: Path, tmp_path: Path, protocol: str
) -> None:
    path = tmp_path / "job_list_a000.pkl"
    command = [str(autosubmit.parent / "python"), str(PROGRAM), str(path), protocol]
    subprocess.run(command, check=True, timeout=PATIENCE)
    (job,) = read_job_list(path).jobs
    assert is_whole(job)


STAND_INS = [
    b"cruamel.yaml.scalarint\nScalarInt\n",
    b"cruamel.yaml.scalarfloat\nScalarFloat\n",
    b"cruamel.yaml.scalarbool\nScalarBoolean\n",
    b"cruamel.yaml.scalarstring\nLiteralScalarString\n",
    b"cruamel.yaml.comments\nCommentedMap\n",
    b"cruamel.yaml.comments\nCommentedSeq\n",
    b"cruamel.yaml.comments\nCommentedKeySeq\n",
    b"cruamel.yaml.comments\nTaggedScalar\n",
    b"cruamel.yaml.timestamp\nTimeStamp\n",
    b"cdatetime\ntimezone\n",
    b"cbuiltins\nset\n",
]


@pytest.mark.parametrize("name", STAND_INS)
@pytest.mark.parametrize("state", [b"}U\x05__new__Nsb", b"N}U\x0c__setstate__Ns\x86b"], ids=["state", "slots"])
def test_a_state_for_a_type_itself_is_refused(name: bytes, state: bytes) -> None:
    with pytest.raises(Refused):
        load(b"\x80\x02" + name + state + b".")


@pytest.mark.parametrize("name", STAND_INS[:8])
def test_a_value_takes_no_attributes(name: bytes) -> None:
    value = load(b"\x80\x02" + name + b")\x81}U\x08__dict__}sb.")
    assert not hasattr(value, "__dict__")


@pytest.mark.parametrize("name", STAND_INS[:4])
def test_hostile_arguments_make_an_empty_value(name: bytes) -> None:
    assert not load(b"\x80\x02" + name + b"]\x85R.")


def test_a_refused_type_is_named_with_what_to_do_and_no_more_than_fits_a_line() -> None:
    with pytest.raises(Refused) as refused:
        load(b"cruamel.yaml.main\nYAML\n.")
    assert "names ruamel.yaml.main.YAML, a type that" in str(refused.value)
    assert "generate the job list again" in str(refused.value)
    with pytest.raises(Refused) as refused:
        load(b"c" + b"\x1b[31m" * 1000 + b"\nx\n.")
    assert len(str(refused.value)) < 500
    assert "\x1b" not in str(refused.value)
