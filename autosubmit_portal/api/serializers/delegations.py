"""Delegations: rights that are lent for a time."""

from typing import Any

from django.urls import reverse
from rest_framework import serializers

from autosubmit_portal.access.models import Delegation
from autosubmit_portal.access.rights.delegations import LONGEST_DAYS
from autosubmit_portal.access.roles import Role
from autosubmit_portal.api.serializers.common import Listing
from autosubmit_portal.api.serializers.fields import InstantField

ROLES = [role.name.lower() for role in Role]


class DelegationBody(serializers.Serializer[Any]):
    """What is lent to whom, for how long, and why."""

    grantee = serializers.CharField(max_length=150, help_text="The name of the account that may act for you.")
    role = serializers.ChoiceField(
        choices=ROLES, default="operator", help_text="What it may do at most; never more than you may yourself."
    )
    team = serializers.CharField(required=False, help_text="Only on the experiments of this team, by its short name.")
    expid = serializers.CharField(required=False, help_text="Only on this experiment.")
    site = serializers.CharField(
        required=False, help_text="The site of the experiment; needed only where several have the expid."
    )
    starts_at = InstantField(required=False, help_text="From when on, not in the past; by default now (ISO 8601).")
    ends_at = InstantField(help_text=f"When it ends by itself, at most {LONGEST_DAYS} days on (ISO 8601).")
    reason = serializers.CharField(max_length=2000, help_text="Why; it stands in the trail.")


class DelegationItem(serializers.Serializer[Delegation]):
    """Rights that one account has lent to another."""

    id = serializers.IntegerField()
    grantor = serializers.CharField(source="grantor.username", help_text="Whose rights they are.")
    grantee = serializers.CharField(source="grantee.username", help_text="Who may act with them.")
    role = serializers.SerializerMethodField(help_text="What may be done at most.")
    team = serializers.SerializerMethodField(help_text="Only on the experiments of this team; blank if not so.")
    expid = serializers.SerializerMethodField(help_text="Only on this experiment; blank if not so.")
    site = serializers.SerializerMethodField(help_text="The site of that experiment.")
    is_active = serializers.BooleanField(help_text="Whether it holds now.")
    starts_at = InstantField()
    ends_at = InstantField()
    reason = serializers.CharField()
    revoked_at = InstantField(allow_null=True)
    revoked_by = serializers.CharField(source="revoked_by_name", help_text="Blank if it was not revoked.")
    url = serializers.SerializerMethodField()

    def get_role(self, delegation: Delegation) -> str:
        """Return the name of the role."""
        return Role(delegation.role).name.lower()

    def get_team(self, delegation: Delegation) -> str:
        """Return the short name of the team."""
        return delegation.team.slug if delegation.team else ""

    def get_expid(self, delegation: Delegation) -> str:
        """Return the expid."""
        return delegation.experiment.expid if delegation.experiment else ""

    def get_site(self, delegation: Delegation) -> str:
        """Return the short name of the site."""
        return delegation.experiment.site.slug if delegation.experiment else ""

    def get_url(self, delegation: Delegation) -> str:
        """Return the address of the delegation."""
        return reverse("delegation-detail", args=[delegation.pk])


class DelegationList(Listing):
    """A page of delegations, newest first."""

    results = DelegationItem(many=True)
