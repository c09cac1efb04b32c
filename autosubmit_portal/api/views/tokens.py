"""Routes of API tokens."""

from http import HTTPStatus

from drf_spectacular.utils import OpenApiResponse
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.access.api_tokens import TokenRequest, make_token, revoke_token
from autosubmit_portal.access.models import ApiToken
from autosubmit_portal.api.action_requests import read_body, require_empty, validate_body
from autosubmit_portal.api.http.viewsets import PortalViewSet
from autosubmit_portal.api.objects import find_first
from autosubmit_portal.api.openapi.documentation import Body, answer, operation
from autosubmit_portal.api.query.pagination import Key, Order, answer_listing, read_page
from autosubmit_portal.api.query.queries import NewestFirstQuery
from autosubmit_portal.api.serializers.fields import Query
from autosubmit_portal.api.serializers.tokens import Identity, NewToken, TokenBody, TokenItem, TokenList
from autosubmit_portal.audit.origin import get_actor, make_origin

LAST_MADE_FIRST = Order("-created", (Key("created", is_descending=True), Key("digest")))


class TokenViewSet(PortalViewSet):
    """API tokens."""

    tag = "Tokens"
    lookup_url_kwarg = "token_id"
    lookup_value_converter = "name"

    @operation(
        "list_tokens",
        "List API tokens",
        {200: answer(TokenList, "Tokens, newest first.")},
        parameters=[NewestFirstQuery],
    )
    def list(self, request: Request) -> Response:
        """List your API tokens, newest first; with the permission `access.view_apitoken`, everybody's."""
        query = NewestFirstQuery.read(request)
        found = ApiToken.objects.visible_to(get_actor(request)).select_related("user").prefetch_related("teams")
        page = read_page(request, found, LAST_MADE_FIRST, query)
        return answer_listing(page, TokenItem(page.rows, many=True).data)

    @operation(
        "create_token",
        "Make an API token",
        {201: answer(NewToken, "The token, this once.")},
        body=Body.make(
            TokenBody,
            {
                "For two kinds": {"name": "nightly report on login1", "days": 90, "kinds": ["run", "stop"]},
                "Only to read": {"name": "wall display", "kinds": []},
            },
        ),
    )
    def create(self, request: Request) -> Response:
        """Make an API token that acts as you, with at most the scope that you give it.

        Asked for with a token, the new one can do no more than that one and ends no later.
        """
        Query.read(request)
        wanted = TokenRequest(**validate_body(TokenBody, read_body(request)))
        token, text = make_token(get_actor(request), wanted, origin=make_origin(request), by=_get_token(request))
        headers = {"Cache-Control": "no-store"}
        return Response({**TokenItem(token).data, "token": text}, status=201, headers=headers)

    @operation("get_token", "Show an API token", {200: answer(TokenItem, "The token.")})
    def retrieve(self, request: Request, token_id: str) -> Response:
        """Show one of your tokens; with the permission `access.view_apitoken`, anybody's."""
        Query.read(request)
        return Response(TokenItem(_find(request, token_id)).data)

    @operation("revoke_token", "Revoke an API token", {204: OpenApiResponse(description="It is revoked.")})
    def destroy(self, request: Request, token_id: str) -> Response:
        """Revoke one of your tokens; with the permission `access.delete_apitoken`, anybody's.

        It does and reads nothing from then on. A token whose scope is limited revokes no token but itself, and one
        that is only to read none at all.
        """
        require_empty(request)
        token = _find(request, token_id)
        revoke_token(token, get_actor(request), origin=make_origin(request), by=_get_token(request))
        return Response(status=204)


class IdentityViewSet(PortalViewSet):
    """Who asks, and whether a token is good."""

    tag = "Tokens"

    @operation("verify_token", "Ask who you are", {200: answer(Identity, "Who you are.")})
    @action(detail=False, url_path="verify-token")
    def verify_token(self, request: Request) -> Response:
        """Answer who the token or the session acts as, as Autosubmit API does.

        A token that is not good gets a 401, whose problem details say `authenticated: false` and `user: null` besides.
        """
        Query.read(request)
        return Response({"authenticated": True, "user": get_actor(request).get_username()})

    def handle_exception(self, exc: Exception) -> Response:
        """Say who it is not, where clients of Autosubmit API look for that."""
        response = super().handle_exception(exc)
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            response.data |= {"authenticated": False, "user": None}
        return response


def _find(request: Request, token_id: str) -> ApiToken:
    """Return a token that the person may see; raise NotFound."""
    tokens = ApiToken.objects.visible_to(get_actor(request)).filter(token_key=token_id)
    return find_first(tokens, f"There is no token {token_id}.")


def _get_token(request: Request) -> ApiToken | None:
    """Return the token that the request was made with, if it was made with one."""
    return request.auth if isinstance(request.auth, ApiToken) else None
