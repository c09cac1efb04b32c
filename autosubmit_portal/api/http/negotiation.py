"""Which format an answer has."""

from collections.abc import Iterable

from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer


class FormatNegotiation(DefaultContentNegotiation):
    """Chooses by `?format=` and `Accept`; a format that the route does not have is a 406."""

    def filter_renderers(
        self,
        renderers: Iterable[BaseRenderer],
        format: str | None,  # noqa: A002
    ) -> list[BaseRenderer]:
        """Return the renderers of the format; raise NotAcceptable naming those that there are."""
        renderers = list(renderers)
        found = [renderer for renderer in renderers if renderer.format == format]
        if not found:
            legal = ", ".join(renderer.format for renderer in renderers)
            raise NotAcceptable(f"“{format}” is not a format of this route. Legal: {legal}.")
        return found
