"""API tokens, and who a token acts as."""

from typing import Any

from django.conf import settings
from rest_framework import serializers

from autosubmit_portal.access.models import ApiToken
from autosubmit_portal.api.serializers.common import Listing
from autosubmit_portal.api.serializers.fields import InstantField, WholeNumberField, make_choice, make_texts
from experiments.catalogue.kinds import CATALOGUE

KINDS_HELP = "The action kinds that it is for: null is all that its account may do, an empty list only to read."

TEAMS_HELP = "The teams, by their slugs, to whose experiments it is limited; null is no limit."


class TokenItem(serializers.Serializer[ApiToken]):
    """An API token; its text is shown when it is made and never again."""

    id = serializers.CharField(source="token_key", help_text="How it begins, which is all that is kept of it.")
    name = serializers.CharField(help_text="What uses it.")
    user = serializers.CharField(source="user.username", help_text="The account that it acts as.")
    kinds = make_texts(allow_null=True, help_text=KINDS_HELP)
    teams = serializers.SerializerMethodField(help_text=TEAMS_HELP)
    created_at = InstantField(source="created")
    expires_at = InstantField(source="expiry", allow_null=True, help_text="null: it does not.")
    last_used_at = InstantField(allow_null=True, help_text="To the minute; null if it never was.")
    last_used_address = serializers.CharField(allow_null=True, help_text="Where that came from.")

    def get_teams(self, token: ApiToken) -> list[str] | None:
        """Return the slugs of the teams that it is limited to."""
        return sorted(team.slug for team in token.teams.all()) if token.only_teams else None


class TokenList(Listing):
    """A page of tokens, newest first."""

    results = TokenItem(many=True)


class NewToken(TokenItem):
    """A token that has just been made."""

    token = serializers.CharField(help_text="The token itself. It is shown this once.")


class TokenBody(serializers.Serializer[Any]):
    """What a new token is for."""

    name = serializers.CharField(max_length=100, help_text="What uses it: a script, a host, a person.")
    days = WholeNumberField(
        required=False,
        min_value=1,
        max_value=settings.TOKEN_DAYS,
        help_text=f"For how many days it is good; by default {settings.TOKEN_DEFAULT.days}.",
    )
    kinds = serializers.ListField(
        child=make_choice(list(CATALOGUE)), required=False, allow_null=True, help_text=KINDS_HELP
    )
    teams = serializers.ListField(
        child=serializers.CharField(max_length=50), required=False, allow_null=True, help_text=TEAMS_HELP
    )


class Identity(serializers.Serializer[Any]):
    """Who asks."""

    authenticated = serializers.BooleanField(help_text="True; the 401 of everybody else says false.")
    user = serializers.CharField(help_text="The name of the account.")
