"""The forms on the page of a team. What they accept is within what whoever fills them in may change."""

from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext, gettext_lazy

from autosubmit_portal.access.models import Coverage, Team, list_role_choices
from autosubmit_portal.access.rights import policy, teams
from autosubmit_portal.access.roles import Role
from autosubmit_portal.access.unix import get_uid, is_superuser
from autosubmit_portal.console.parts.forms import RuledForm
from autosubmit_portal.console.parts.managed_sites import list_sites
from autosubmit_portal.console.parts.validity import InstantField
from autosubmit_portal.distinct import list_distinct
from experiments.models import Experiment
from experiments.models.experiment import choose_meant

_TYPED = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}


class PlaceForm(RuledForm):
    """A place in a team: as what, and until when."""

    role = forms.TypedChoiceField(
        choices=list_role_choices,
        coerce=lambda value: Role(int(value)),
        initial=Role.OPERATOR,
        label=gettext_lazy("As"),
    )
    ends_at = InstantField(
        required=False,
        label=gettext_lazy("Until"),
        help_text=gettext_lazy("Then it ends by itself. Blank: until somebody ends it."),
    )

    def clean_ends_at(self) -> Any:
        """Refuse a time that has passed."""
        ends_at = self.cleaned_data["ends_at"]
        if ends_at and ends_at <= timezone.now():
            raise ValidationError(gettext("This has passed. To end it now, remove the person."))
        return ends_at


class MemberForm(PlaceForm):
    """Who is to be in a team, as what, and until when. Somebody who is in it already gets another place."""

    field_order = ("person", "role", "ends_at")

    person = forms.CharField(
        max_length=150,
        label=gettext_lazy("Who"),
        help_text=gettext_lazy(
            "The name of the account. Somebody who is in the team already gets this role and end instead."
        ),
        widget=forms.TextInput(attrs={**_TYPED, "required": True}),
    )

    def __init__(self, data: Any = None, *, offers: str = "") -> None:
        super().__init__(data)
        person: Any = self.fields["person"]
        person.choices_address = offers
        person.widget.attrs["data-offers"] = offers

    def clean_person(self) -> User:
        """Return the open account of that name."""
        found = User.objects.filter(username=self.cleaned_data["person"].strip(), is_active=True).first()
        if found is None:
            raise ValidationError(
                gettext("There is no such account, or it is closed. People get one when they first sign in.")
            )
        return found


class InvitationForm(PlaceForm):
    """For whom an invitation into a team is, as what, and until when they will be in it."""

    field_order = ("whom", "role", "ends_at")

    whom = forms.CharField(
        max_length=150,
        label=gettext_lazy("For whom"),
        help_text=gettext_lazy("A name or an e-mail address, so that you know it again. Nothing is sent there."),
        widget=forms.TextInput(attrs={**_TYPED, "required": True}),
    )

    def clean_whom(self) -> str:
        """Refuse what would look like another text, or like more than one line."""
        whom: str = self.cleaned_data["whom"]
        if not whom.isprintable():
            raise ValidationError(gettext("Write one line of plain text."))
        return whom


class CoverageForm(forms.ModelForm):  # type: ignore[type-arg]  # of the stubs alone
    """A line of coverage. The manager of a site must name it; only who manages all teams may leave it open."""

    class Meta:
        model = Coverage
        fields = Coverage.CONDITIONS
        widgets = {name: forms.TextInput(attrs=_TYPED) for name in ("owner", "hpc", "expid_pattern")}

    def __init__(self, user: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        is_free = teams.may_change_all(user)
        site: Any = self.fields["site"]
        site.queryset, site.required, site.empty_label = (
            list_sites(user),
            not is_free,
            gettext("Any site") if is_free else None,
        )
        if policy.may_view_all(user, Experiment):
            self._offer("owner")
            self._offer("hpc")

    def _offer(self, name: str) -> None:
        field: Any = self.fields[name]
        field.offers = list_distinct(Experiment, name)
        field.widget.attrs["list"] = f"offers-{name}"


class ExperimentForm(RuledForm):
    """An experiment that is added to a team by hand."""

    experiment = forms.CharField(
        max_length=110,
        help_text=gettext_lazy("Its expid, or `site/expid` where several sites have it."),
        widget=forms.TextInput(attrs={**_TYPED, "placeholder": "a000", "required": True}),
    )

    def __init__(self, user: Any, data: Any = None) -> None:
        super().__init__(data)
        self.user = user

    def clean_experiment(self) -> Experiment:
        """Return the experiment that is named, of those at sites that the user manages."""
        site, _, expid = self.cleaned_data["experiment"].strip().rpartition("/")
        rows = Experiment.objects.filter(site__in=list_sites(self.user), expid=expid, gone_at=None)
        found = choose_meant(list(rows.filter(site__slug=site) if site else rows))
        if len(found) != 1:
            wrong = (
                gettext("Several sites have it: write site/expid.")
                if found
                else gettext("There is no such one at sites of yours.")
            )
            raise ValidationError(wrong)
        return found[0]


class TeamForm(forms.ModelForm):  # type: ignore[type-arg]  # of the stubs alone
    """What a team is called."""

    class Meta:
        model = Team
        fields = ("name", "slug", "description")
        labels = {"slug": gettext_lazy("Short name")}
        help_texts = {
            "slug": gettext_lazy("In addresses, claims of identity providers and the trail. Blank: made of the name.")
        }
        widgets = {"slug": forms.TextInput(attrs=_TYPED), "description": forms.Textarea(attrs={"rows": 3})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["slug"].required = False

    def clean_slug(self) -> str:
        """Make the short name of the name if none is given."""
        slug = str(self.cleaned_data["slug"] or slugify(self.cleaned_data.get("name", ""))[:50])
        if not slug:
            raise ValidationError(gettext("Give a short name: letters, digits and hyphens."))
        return slug


def explain_owner(form: CoverageForm) -> str:
    """Return why the owner that a form names owns nothing here; blank if experiments of that account are covered."""
    owner = str(form.cleaned_data.get("owner", "")) if form.is_bound else ""
    if not owner or get_uid(owner) is not None:
        return ""
    if is_superuser(owner):
        return gettext("The superuser owns nothing for the portal: the line would cover nothing.")
    return gettext("This host knows no Unix user of this name: the line would cover nothing.")
