"""The formats of the API: JSON by default, pages for browsers; text, JSON lines and CSV for some routes."""

import json
from collections.abc import Iterator, Mapping
from typing import IO, Any, NoReturn

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, FormParser, JSONParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.views import APIView

from autosubmit_portal.api.http.browsable import PageRenderer
from experiments.actions.refusals import InvalidParameters

ENCODER = JSONEncoder()
# What the API takes is four levels deep at most.
MOST_LEVELS = 32
TOO_DEEP = f"The body is nested more than {MOST_LEVELS} levels deep."


class JSONBodyParser(JSONParser):
    """JSON in which no name stands twice in an object, and with a limited depth. Django limits its size."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the parsed body; raise ParseError saying what is wrong with it."""
        charset = str((parser_context or {}).get("encoding", "utf-8"))
        try:
            text = stream.read().decode(charset)
            body = json.loads(text, object_pairs_hook=_make_object, parse_constant=_refuse_constant)
        except RecursionError as error:
            raise ParseError(TOO_DEEP) from error
        except (ValueError, LookupError) as error:
            raise ParseError(f"JSON parse error - {error}") from error
        if is_too_deep(body):
            raise ParseError(TOO_DEEP)
        return body


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; raise InvalidParameters for a repeated name: parsers differ in which value counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})[:10]
        raise InvalidParameters({_make_printable(name): ["This stands twice in one object."] for name in twice})
    return found


def _make_printable(name: str) -> str:
    return name[:100].encode("ascii", "backslashreplace").decode()


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def is_too_deep(body: Any) -> bool:
    """Return whether lists and objects are nested more than MOST_LEVELS deep."""
    level = [body]
    for _ in range(MOST_LEVELS):
        boxes = [value for value in level if isinstance(value, dict | list)]
        level = [inner for box in boxes for inner in (box.values() if isinstance(box, dict) else box)]
        if not level:
            return False
    return True


class FastJSONRenderer(JSONRenderer):
    """JSON as DRF writes it, in a tenth of the time; DRF writes what orjson cannot, such as huge numbers."""

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        """Return the bytes."""
        if data is None:
            return b""
        try:
            written = orjson.dumps(data, default=ENCODER.default, option=orjson.OPT_PASSTHROUGH_DATETIME)
        except TypeError:
            return bytes(super().render(data, accepted_media_type, renderer_context))
        if not self.get_indent(accepted_media_type or "", renderer_context or {}):
            return written
        return bytes(super().render(orjson.loads(written), accepted_media_type, renderer_context))


class StreamRenderer(BaseRenderer):
    """A format that the view itself writes piece by piece."""

    charset = "utf-8"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        """Return the data, which the view has rendered already."""
        return bytes(data)


class TextRenderer(StreamRenderer):
    """Plain text."""

    media_type = "text/plain"
    format = "txt"


class JSONLinesRenderer(StreamRenderer):
    """One JSON object a line."""

    media_type = "application/x-ndjson"
    format = "jsonl"


class CSVRenderer(StreamRenderer):
    """Comma-separated values."""

    media_type = "text/csv"
    format = "csv"


class OptionsMixin(APIView):
    """Answers OPTIONS as JSON or as a page, also where answers to GET have other formats."""

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """Answer what the route takes (`metadata.py`)."""
        if not isinstance(request.accepted_renderer, PageRenderer):
            request.accepted_renderer, request.accepted_media_type = FastJSONRenderer(), "application/json"
        return super().options(request, *args, **kwargs)


class PortalView(OptionsMixin):
    """What all routes have in common: JSON or a page out, JSON in. `tag` is their group in the OpenAPI document."""

    tag = "Portal"
    renderer_classes: tuple[type[BaseRenderer], ...] = (FastJSONRenderer, PageRenderer)
    parser_classes = (JSONBodyParser,)

    def get_parsers(self) -> list[BaseParser]:
        """Return what reads a body: JSON, and of pages also their forms."""
        accepted = self.request.headers.get("Accept", "") if self.request else ""
        parsers = super().get_parsers()
        return [*parsers, FormParser()] if "text/html" in accepted else parsers

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Redirect a page after a form was accepted, so that reloading does not send the form again."""
        response = super().finalize_response(request, response, *args, **kwargs)
        is_page = isinstance(getattr(response, "accepted_renderer", None), PageRenderer)
        if is_page and response.status_code in (200, 201, 202) and response.has_header("Location"):
            response.status_code = 303
        return response


def write_json_lines(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    """Yield each row as a line of JSON."""
    for row in rows:
        yield json.dumps(row, ensure_ascii=False) + "\n"
