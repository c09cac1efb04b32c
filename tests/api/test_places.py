"""Places to wait in, and what becomes of who finds none."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory
from rest_framework.test import APIClient

from autosubmit_portal import waits
from autosubmit_portal.api import streams
from autosubmit_portal.waits import Places


@pytest.fixture(autouse=True)
def places(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give each test places of its own, none of which is left taken."""
    monkeypatch.setattr(waits, "waits", Places(2, 1))
    monkeypatch.setattr(streams, "streams", Places(1, 1))
    yield
    assert not waits.waits._taken


def test_an_account_takes_only_its_part_of_the_places() -> None:
    places = Places(2, 1)
    assert [places.take("ana"), places.take("ana"), places.take("leo"), places.take("eva")] == [
        True,
        False,
        True,
        False,
    ]
    places.give_back("ana")
    assert places.take("eva")


@pytest.mark.usefixtures("experiment")
def test_who_finds_no_place_is_answered_at_once_and_told_when_to_ask_again(as_operator: APIClient) -> None:
    for other in ("ana", "leo"):
        waits.waits.take(other)
    answer = as_operator.post("/v4/experiments/a000?action=run", HTTP_PREFER="wait=60")
    assert (answer.status_code, answer["Preference-Applied"], answer["Retry-After"]) == (202, "wait=0", "5")
    for other in ("ana", "leo"):
        waits.waits.give_back(other)


def test_a_wait_ends_when_its_client_has_gone() -> None:
    request = RequestFactory().get("/")
    request.META["waitress.client_disconnected"] = lambda: True
    request.user = User(pk=1)
    assert waits.wait_until(request, lambda: False, 3600)


def test_all_waits_end_when_the_process_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    waits._stopping.set()
    request = RequestFactory().get("/")
    request.user = User(pk=1)
    try:
        assert waits.wait_until(request, lambda: False, 3600)
    finally:
        waits._stopping.clear()


def streamed(length: int | None = None) -> HttpResponse:
    request: HttpRequest = RequestFactory().get("/")
    request.user = User(pk=1)
    answer = StreamingHttpResponse(iter([b"x"]))
    if length is not None:
        answer["Content-Length"] = str(length)
    return streams.StreamsMiddleware(lambda _: answer)(request)  # type: ignore[return-value]


@pytest.mark.django_db
@pytest.mark.parametrize("length", [None, streams.SHORT_BYTES + 1])
def test_a_long_answer_has_its_place_until_it_is_closed(length: int | None) -> None:
    first = streamed(length)
    refused = streamed(length)
    assert (refused.status_code, refused["Retry-After"]) == (503, "5")
    first.close()
    assert streamed(length).status_code == 200


def test_a_short_answer_needs_no_place() -> None:
    streamed()
    assert streamed(streams.SHORT_BYTES).status_code == 200
