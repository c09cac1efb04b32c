"""Freezes of sites and platforms."""

from typing import Any

from django.urls import reverse
from rest_framework import serializers

from autosubmit_portal.api.serializers.common import Listing
from autosubmit_portal.api.serializers.fields import InstantField
from experiments.actions.freeze import LONGEST_MESSAGE
from experiments.models import Freeze


class FreezeBody(serializers.Serializer[Any]):
    """What is to be frozen, why, and when."""

    site = serializers.CharField(required=False, help_text="The site; by default the default site.")
    platform = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=100,
        help_text="Only this platform of the site; blank for the whole site. Upper and lower case are alike.",
    )
    message = serializers.CharField(
        max_length=LONGEST_MESSAGE, help_text="Why; everybody who would start something reads it."
    )
    starts_at = InstantField(required=False, help_text="From when on, not in the past; by default now (ISO 8601).")
    ends_at = InstantField(
        required=False, allow_null=True, help_text="When it ends by itself (ISO 8601); without it somebody must end it."
    )


class FreezeItem(serializers.Serializer[Freeze]):
    """A freeze: a time in which nothing that submits jobs may start."""

    id = serializers.IntegerField()
    site = serializers.CharField(source="site.slug")
    platform = serializers.CharField(help_text="In upper case; blank for the whole site.")
    message = serializers.CharField()
    is_active = serializers.BooleanField(help_text="Whether it holds now.")
    starts_at = InstantField()
    ends_at = InstantField(allow_null=True)
    ended_at = InstantField(allow_null=True)
    made_by = serializers.CharField(source="made_by_name")
    ended_by = serializers.CharField(source="ended_by_name", help_text="Blank if it ended by itself.")
    url = serializers.SerializerMethodField()

    def get_url(self, freeze: Freeze) -> str:
        """Return the address of the freeze, which has who is affected."""
        return reverse("freeze-detail", args=[freeze.pk])


class AffectedItem(serializers.Serializer[Any]):
    """An experiment that runs where a freeze holds."""

    expid = serializers.CharField()
    owner = serializers.CharField()
    hpc = serializers.CharField()


class FreezeDetail(FreezeItem):
    """A freeze with who is affected."""

    affected = AffectedItem(
        many=True, help_text="The experiments that run there, by owner. Their runs go on; tell their owners."
    )


class FreezeList(Listing):
    """A page of freezes, newest first."""

    results = FreezeItem(many=True)
