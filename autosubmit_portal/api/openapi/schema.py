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


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """`Authorization: Bearer <token>`."""

    target_class = "autosubmit_portal.api.http.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """Return how the document says it."""
        return build_bearer_security_scheme_object(
            header_name="Authorization", token_prefix=BearerAuthentication.scheme
        )


class SingleSignOnScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """`Authorization: Bearer <JWT>` of the identity provider, where the portal has one."""

    target_class = "autosubmit_portal.api.http.authentication.SingleSignOnAuthentication"
    name = "singleSignOn"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """Return how the document says it."""
        return build_bearer_security_scheme_object(
            header_name="Authorization", token_prefix=BearerAuthentication.scheme, bearer_format="JWT"
        )


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """`Authorization: Token <token>`."""

    target_class = "autosubmit_portal.api.http.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """Return how the document says it."""
        return build_bearer_security_scheme_object(
            header_name="Authorization", token_prefix=TokenAuthentication.scheme
        )


class SessionScheme(DRFSessionScheme):  # type: ignore[no-untyped-call]
    """The session of a browser."""

    target_class = "autosubmit_portal.api.http.authentication.SessionAuthentication"
