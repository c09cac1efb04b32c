"""Compress answers of the API, as `Accept-Encoding` allows.

Only answers to requests with a token are compressed. Who can make a browser ask with its session, and sees the length
of compressed answers, can learn their content (BREACH); browsers send no token by themselves. Streams are not
compressed, so that each piece arrives at once.
"""

import gzip
from collections.abc import Callable

import zstandard
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

# Below this the headers weigh as much as what is saved.
LEAST_BYTES = 1024
# Measured on the 4 MB of ten thousand jobs; docs/api.md has the figures.
ZSTD_LEVEL = 3
GZIP_LEVEL = 3


def _compress_zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(content)


def _compress_gzip(content: bytes) -> bytes:
    return gzip.compress(content, GZIP_LEVEL, mtime=0)


# The best first.
ENCODINGS: dict[str, Callable[[bytes], bytes]] = {"zstd": _compress_zstd, "gzip": _compress_gzip}


class CompressionMiddleware:
    """Compresses the answers under /v4 to requests with a token."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Serve the request and compress the answer where that is allowed and worth it."""
        response = self.get_response(request)
        if not _is_ours(request) or response.streaming:
            return response
        patch_vary_headers(response, ("Accept-Encoding",))
        encoding = choose_encoding(request.headers.get("Accept-Encoding", ""))
        if encoding and len(response.content) >= LEAST_BYTES and not response.has_header("Content-Encoding"):
            response.content = ENCODINGS[encoding](response.content)
            response["Content-Encoding"] = encoding
            response["Content-Length"] = str(len(response.content))
        return response


def choose_encoding(accepted: str) -> str:
    """Return the supported encoding that an `Accept-Encoding` header prefers; blank for none."""
    weights = dict(_parse_weight(part) for part in accepted.lower().split(",") if part.strip())
    found = {name: weights.get(name, weights.get("*", 0.0)) for name in ENCODINGS}
    best = max(found, key=lambda name: found[name])  # the first of equals
    return best if found[best] > 0 else ""


def _is_ours(request: HttpRequest) -> bool:
    return request.path_info.startswith("/v4") and "Authorization" in request.headers


def _parse_weight(part: str) -> tuple[str, float]:
    """Return the name and the weight of one part such as `gzip;q=0.5`; what is malformed weighs nothing."""
    name, _, parameter = part.partition(";")
    _, _, weight = parameter.partition("=")
    try:
        return name.strip(), float(weight) if parameter.strip() else 1.0
    except ValueError:
        return name.strip(), 0.0
