"""The OpenAPI document, its pages, and how it is made."""

from typing import Any

from drf_spectacular.authentication import SessionScheme as DRFSessionScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import build_bearer_security_scheme_object

from autosubmit_portal.api.http.authentication import BearerAuthentication, TokenAuthentication


class PortalSchema(AutoSchema):
    """Groups the operations by their resources."""

    def get_tags(self) -> list[str]:
        """Return the group of the operation: the `tag` of its view."""
        return [getattr(self.view, "tag", "Portal")]


class _HeaderScheme(OpenApiAuthenticationExtension):
    """`Authorization: <keyword> <token>`."""

    keyword = BearerAuthentication.keyword
    bearer_format: str | None = None

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """Return how the document says it."""
        return build_bearer_security_scheme_object("Authorization", self.keyword, self.bearer_format)


class BearerScheme(_HeaderScheme):
    """`Authorization: Bearer <token>`."""

    target_class = "autosubmit_portal.api.http.authentication.BearerAuthentication"
    name = "bearer"


class SingleSignOnScheme(_HeaderScheme):
    """`Authorization: Bearer <JWT>` of the identity provider, where the portal has one."""

    target_class = "autosubmit_portal.api.http.authentication.SingleSignOnAuthentication"
    name = "singleSignOn"
    bearer_format = "JWT"


class TokenScheme(_HeaderScheme):
    """`Authorization: Token <token>`."""

    target_class = "autosubmit_portal.api.http.authentication.TokenAuthentication"
    name = "token"
    keyword = TokenAuthentication.keyword


class SessionScheme(DRFSessionScheme):
    """The session of a browser."""

    target_class = "autosubmit_portal.api.http.authentication.SessionAuthentication"


def drop_trailing_slashes(endpoints: list[tuple[str, str, str, Any]], **_: Any) -> list[tuple[str, str, str, Any]]:
    """Leave out the second address of each route: both mean the same."""
    return [endpoint for endpoint in endpoints if not endpoint[0].endswith("/")]


def allow_any_of(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Let alternatives overlap: `{}` is a legal body of several actions, which oneOf would refuse."""
    for schema in result["components"]["schemas"].values():
        if "oneOf" in schema:
            schema["anyOf"] = schema.pop("oneOf")
    return result
