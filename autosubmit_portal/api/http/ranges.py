"""Answer a file of any size as text, whole or a range of its bytes (RFC 9110, 14)."""

import re

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header, http_date, parse_http_date_safe

from experiments.logs import Log
from jobs.autosubmit.values import to_moment

_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*")


class Unsatisfiable(Exception):
    """The requested range is beyond the end."""

    def __init__(self, size: int) -> None:
        super().__init__(f"The log has {size} bytes; the range is beyond its end.")
        self.size = size


def answer_text(request: HttpRequest, log: Log, *, is_download: bool, part: range | None = None) -> HttpResponseBase:
    """Answer a log, or a `part` of it in place of the header Range.

    The answer is never compressed, because ranges count its bytes. Raises Unsatisfiable.
    """
    size = log.size
    etag = f'"{log.identity}-{log.stored_size:x}-{log.modified_ns:x}"'
    modified = int(to_moment(log.modified_ns / 1e9).timestamp())
    unchanged = get_conditional_response(request, etag=etag, last_modified=modified)
    if unchanged is not None:
        return unchanged
    wanted = None if part is not None else _parse_range(request, size, etag, modified)
    sent = part if part is not None else wanted or range(size)
    answer = _answer(request, log, sent)
    if wanted is not None:
        answer.status_code = 206
        answer["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{size}"
    answer["ETag"], answer["Last-Modified"] = etag, http_date(modified)
    answer["Content-Disposition"] = content_disposition_header(is_download, log.plain_name) or "inline"
    return answer


def _answer(request: HttpRequest, log: Log, sent: range) -> HttpResponseBase:
    kind = "text/plain; charset=utf-8"
    if request.method == "HEAD":
        answer: HttpResponseBase = HttpResponse(content_type=kind)
    else:
        answer = StreamingHttpResponse(log.iterate_blocks(sent.start, sent.stop), content_type=kind)
    answer["Content-Length"] = str(len(sent))
    answer["Content-Encoding"] = "identity"
    answer["Accept-Ranges"] = "bytes"
    return answer


def _parse_range(request: HttpRequest, size: int, etag: str, modified: int) -> range | None:
    """Return the requested range; None for the whole log, also for several or malformed ranges."""
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    if asked is None or not _is_same(request.headers.get("If-Range"), etag, modified):
        return None
    first, last = asked.groups()
    if not first and not last:
        return None
    if not first:
        found = range(max(0, size - int(last)), size)
    elif last and int(last) < int(first):
        return None
    else:
        found = range(int(first), min(size, int(last) + 1) if last else size)
    if not found:
        raise Unsatisfiable(size)
    return found


def _is_same(condition: str | None, etag: str, modified: int) -> bool:
    """Return whether the file is still the one that If-Range names, so that the range continues it."""
    return condition is None or condition == etag or parse_http_date_safe(condition) == modified
