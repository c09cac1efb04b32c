"""JSON from the other side: what could do harm is refused, and says why."""

import json
import time
from contextlib import suppress
from random import Random
from typing import Any

import pytest

from autosubmit_portal.agent.protocol.errors import ProtocolError
from autosubmit_portal.agent.protocol.limits import MOST_MESSAGE_BYTES, MOST_THINGS
from autosubmit_portal.agent.protocol.strict_json import decode, decode_document, encode
from tests.support import fuzz

GOOD = b'{"a":[1,-2.5,true,null,"\\u00e9\\ud83c\\udf0d \\\\u0000",{"b":""}]}'


def test_a_good_message_is_read_as_any_json() -> None:
    assert decode(GOOD) == json.loads(GOOD)


def test_what_was_encoded_is_decoded_to_the_same() -> None:
    message = {"text": 'é🌍 "quoted" \\ \n', "number": 2**63 - 1, "list": [1.5, None, False, {}]}
    assert decode(encode(message)) == message


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not JSON"),
        (b"[]", "no object"),
        (b'"a"', "no object"),
        (b"{}{}", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'{"a":"\xff"}', "not JSON"),
        (b'{"a":"\xed\xa0\x80"}', "not JSON"),
        (b'{"a":"\x00"}', "not JSON"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":-Infinity}', "Infinity"),
        (b'{"a":1e999}', "too large"),
        (b'{"a":0.' + b"1" * 100 + b"}", "too long"),
        (b'{"a":9223372036854775808}', "64 bits"),
        (b'{"a":' + b"9" * 100_000 + b"}", "64 bits"),
        (b'{"a":1,"a":2}', "same key twice"),
        (b'{"a":{"b":1,"\\u0062":2}}', "same key twice"),
        (b'{"a":"\\u0000"}', "NUL"),
        (b'{"\\u0000":1}', "NUL"),
        (b'{"a":["\\ud800"]}', "half a character"),
        (b'{"a":"\\udc00\\ud800"}', "half a character"),
        (b'{"a":' + b"[" * 17 + b"]" * 17 + b"}", "deeper"),
        (b'{"a":' * 100_000, "things"),
        (b"[" * 1_000_000, "things"),
        (b'{"a":[' + b"0," * MOST_THINGS + b"0]}", "things"),
        (b'{"a":"' + b"a" * MOST_MESSAGE_BYTES + b'"}', "bytes"),
    ],
    ids=lambda value: value[:20].decode("latin-1") if isinstance(value, bytes) else None,
)
def test_harmful_json_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        decode(data)


@pytest.mark.parametrize("piece", [b'"', b'\\"', b'"\\', b'[",', b'{"a', b"\\", b"[]", b'"\\u'])
def test_no_text_takes_long_to_refuse(piece: bytes) -> None:
    data = piece * (MOST_MESSAGE_BYTES // len(piece))
    began = time.process_time()
    with pytest.raises(ProtocolError):
        decode(data)
    assert time.process_time() - began < 2  # one that tries again at each quote takes minutes


@pytest.mark.parametrize("value", ["\0", "\ud800", float("nan"), 2**64])
def test_what_the_other_side_would_refuse_is_not_sent(value: object) -> None:
    with pytest.raises(ProtocolError):
        encode({"a": [value]})


@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_whatever_is_received_becomes_plain_values_or_is_refused(seed: int) -> None:
    random = Random(seed)
    for _ in range(500):
        whole = encode({"a": [make_value(random, 4) for _ in range(5)]})
        data = random.choice((fuzz.cut, fuzz.flipped, fuzz.spliced))(random, whole, GOOD)
        with suppress(ProtocolError):
            message = decode(data)
            assert decode(encode(message)) == message


def make_value(random: Random, depth: int) -> Any:
    """Return any value that may be sent."""
    texts = ("", "é🌍", '"\\', "\n", "x" * 50)
    plain = (None, True, random.randrange(-(2**63), 2**63), random.random(), random.choice(texts))
    if not depth or random.random() < 0.4:
        return random.choice(plain)
    values = [make_value(random, depth - 1) for _ in range(random.randrange(4))]
    return values if random.random() < 0.5 else {f"{at}é": value for at, value in enumerate(values)}


def test_a_document_may_be_longer_than_a_message_but_not_endless() -> None:
    value = {"a": [10**1000, [0] * MOST_THINGS]}
    document = json.dumps(value).encode()
    assert decode_document(document) == value
    with pytest.raises(ProtocolError, match="too many digits"):
        decode_document(b'{"a":' + b"9" * 100_000 + b"}")
    with pytest.raises(ProtocolError, match="same key twice"):
        decode_document(b'{"a":1,"a":1}')
