"""YAML that a configuration may be written in, chosen and random, and what Autosubmit's own reader makes of it."""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

from tests.support.waiting import PATIENCE

READ = """
import json, math, sys, warnings
from autosubmit.config.yamlparser import YAMLParserFactory
from ruamel.yaml.comments import CommentedSet, TaggedScalar
warnings.simplefilter("ignore")

def plain(value):
    if isinstance(value, TaggedScalar):
        return value.value
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, CommentedSet):
        return sorted(map(str, value))
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if type(value).__name__ == "ScalarBoolean":
        return bool(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if value is None or isinstance(value, (str, int)) else str(value)

def read(text):
    try:
        found = YAMLParserFactory().create_parser().load(text)
    except Exception:
        return None
    return plain({} if found is None or isinstance(found, list) else found)

json.dump([read(text) for text in json.load(sys.stdin)], sys.stdout)
"""

FORMS: dict[str, Any] = {
    "A: !rrule FREQ=DAILY\n": {"A": "FREQ=DAILY"},
    "A: !ENV ${HOME}\n": {"A": "${HOME}"},
    "A: !x 5\nB: !x ~\nC: !x 'q'\nD: !x\nE: !!str 5\n": {"A": "5", "B": "~", "C": "q", "D": "", "E": "5"},
    "A: !x {b: !y 1}\nB: !z [1, !y 2]\n": {"A": {"b": "1"}, "B": [1, "2"]},
    "!x\nA: !<tag:example.org,2000:x> y\n": {"A": "y"},
    "%TAG !e! tag:example.org,2000:\n---\nA: !e!x y\n": {"A": "y"},
    "A: !!python/object/apply:os.system ['touch x']\n": {"A": ["touch x"]},
    "A: &a !x y\nB: *a\n": {"A": "y", "B": "y"},
    "A: &a !x {b: 1}\nB: {<<: *a, c: 2}\n": {"A": {"b": 1}, "B": {"c": 2, "b": 1}},
    "A: !!set {b, a}\nB: !!omap [b: 1, a: 2]\nC: !!pairs [b: 1, b: 2]\n": {
        "A": ["a", "b"], "B": {"b": 1, "a": 2}, "C": [["b", 1], ["b", 2]],
    },
    "A: !!int '5'\nB: !!float 5\nC: !!bool 'true'\nD: !!binary aGVsbG8=\n": {
        "A": 5, "B": 5.0, "C": True, "D": "hello",
    },
    "? [1, 2]\n: x\n? {}\n: z\n": {"(1, 2)": "x", "ordereddict()": "z"},
    "1: a\n2.5: b\n~: d\n": {"1": "a", "2.5": "b", "None": "d"},
    "- a\n- b: 1\n": {},
    "# nothing\n": {},
    "A: &a 1\nB: &a 2\nC: *a\n": {"A": 1, "B": 2, "C": 2},
    "%YAML 1.1\n---\nA: [yes, 010, 48:00]\n": {"A": [True, 8, 2880]},
    "A: [yes, 010, 48:00, 0o10, 0x1F, 0b11, 1_000]\n": {"A": ["yes", 10, "48:00", 8, 31, 3, 1000]},
    "1: a\ntrue: b\n": None,
    "A: {b: 1, b: 2}\n": None,
    "A: &a {x: 1}\nB:\n  <<: *a\n  <<: *a\n": None,
    "A: !!int x\n": None,
    "A: *b\n": None,
    "A: 1\n---\nB: 2\n": None,
}  # fmt: skip
"""What is to be read of a text; None: it is refused."""

SCALARS = (
    *("5", "-3", "+7", "007", "0x1F", "0o17", "0b101", "1_000", "5.0", "1e3", "-.5", ".inf", ".nan", "1.5E+3"),
    *("true", "FALSE", "yes", "off", "~", "null", "", "x", "a b", "48:00", "%X.Y%", "'it''s'", '"q\\n"', "'5'"),
)
TAGS = ("!x ", "!ENV ", "!<tag:example.org,2000:x> ", "!!str ", "!!python/name:os.system ")


def random_text(random: Random) -> str:
    """Return a configuration of sections with random values, tags, anchors, aliases, merges and keys."""
    anchors: list[str] = []
    lines = []
    for number in range(random.randint(1, 6)):
        key = random.choice([f"K{number}", f"K{number}", f"'K {number}'", f"? [{number}, k]\n", f"!t K{number}"])
        lines.append(f"{key}: {_value(random, anchors, 3)}")
    return "\n".join(lines) + "\n"


def _value(random: Random, anchors: list[str], depth: int) -> str:
    kind = random.choice(("scalar", "scalar", "map", "list", "alias") if depth else ("scalar", "alias"))
    if kind == "alias" and anchors:
        return f"*{random.choice(anchors)} "
    tag = random.choice(TAGS) if random.random() < 0.3 else ""
    if kind == "map":
        keys = range(random.randint(0, 3))
        tag = "" if tag == "!!str " else tag
        value = "{" + ", ".join(f"k{key}: {_value(random, anchors, depth - 1)}" for key in keys) + "}"
    elif kind == "list":
        tag = "" if tag == "!!str " else tag
        value = "[" + ", ".join(_value(random, anchors, depth - 1) for _ in range(random.randint(1, 3))) + "]"
    else:
        value = random.choice(SCALARS)
    if random.random() < 0.2:
        anchors.append(f"a{len(anchors)}")
        return f"&{anchors[-1]} {tag}{value}"
    return f"{tag}{value}"


def read_by_autosubmit(autosubmit: Path, texts: Iterable[str]) -> list[Any]:
    """Return what the reader of the installed Autosubmit makes of each text; None where it refuses it."""
    done = subprocess.run(
        [str(autosubmit.parent / "python"), "-c", READ],
        input=json.dumps(list(texts)),
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    answers: list[Any] = json.loads(done.stdout)
    return answers
