"""The sites: health for all who may see them, settings for those who may change them. Sites are never deleted."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_POST

from autosubmit_portal import health
from autosubmit_portal.audit.origin import get_actor, make_origin
from autosubmit_portal.console import stamps
from autosubmit_portal.console.pages.health import describe_findings
from autosubmit_portal.console.parts import presentation
from autosubmit_portal.console.parts.actions import Subject, list_allowed_kinds, make_buttons
from autosubmit_portal.console.parts.base import ConsoleAdmin, parse_number
from autosubmit_portal.console.parts.columns import make_column
from autosubmit_portal.console.parts.presentation import when
from autosubmit_portal.console.parts.request_pages import FormPage, RequestPages
from autosubmit_portal.console.site import console
from experiments import hosts, programs
from experiments.actions.call_empty import call_empty, list_silent, may_call_empty
from experiments.actions.refusals import Conflict
from experiments.catalogue.kinds import CATALOGUE, Target
from experiments.models import Host, Site


class SiteForm(forms.ModelForm):  # type: ignore[type-arg]  # of the stubs alone
    """The settings of a site, with the action kinds as boxes to tick."""

    disabled_kinds = forms.MultipleChoiceField(
        required=False,
        choices=lambda: [
            (kind.name, f"{gettext(kind.title)}: {gettext(kind.help).replace('`', '')}") for kind in CATALOGUE.values()
        ],
        widget=forms.CheckboxSelectMultiple,
        label=gettext_lazy("Switched off"),
        help_text=gettext_lazy(
            "Actions that nobody may request at this site, nor those that contain them: Restart contains Start."
        ),
    )

    package_kinds = forms.MultipleChoiceField(
        required=False,
        choices=lambda: [(kind.name, gettext(kind.title)) for kind in CATALOGUE.values() if kind.can_start_warm],
        widget=forms.CheckboxSelectMultiple,
        label=gettext_lazy("Quick start"),
        help_text=gettext_lazy(
            "Actions whose commands start in a process that has imported Autosubmit already, within a second. "
            "It takes about 100 MB. A run is always a process of its own. The file of the site may forbid it."
        ),
    )

    approval_kinds = forms.MultipleChoiceField(
        required=False,
        choices=lambda: [(kind.name, gettext(kind.title)) for kind in CATALOGUE.values() if not kind.stops_run],
        widget=forms.CheckboxSelectMultiple,
        label=gettext_lazy("Second person"),
        help_text=gettext_lazy(
            "Actions that somebody else than who asks for them must approve, and those that contain them: "
            "Restart contains Start. What stops a run never waits."
        ),
    )

    def clean_program(self) -> str:
        """Refuse the name of a program that the hosts of the site do not have."""
        name: str = self.cleaned_data["program"]
        unknown = programs.explain_unknown(name, self.instance) if name and self.instance.pk else ""
        if unknown:
            raise forms.ValidationError(unknown)
        return name


class OrderForm(forms.ModelForm):  # type: ignore[type-arg]  # of the stubs alone
    """A host as whoever does not remove it sees it. The label of a field stands in another row."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["aria-label"] = field.label


class HostForm(OrderForm):
    """A host, which is removed by a box to tick: its row stays as where commands have run."""

    remove = forms.BooleanField(required=False, label=gettext_lazy("Remove"))

    def clean_remove(self) -> bool:
        """Refuse to remove a host that something is at still."""
        wants: bool = self.cleaned_data["remove"]
        reason = hosts.explain_use(self.instance) if wants and self.instance.pk else ""
        if reason:
            raise forms.ValidationError(reason)
        return wants

    def save(self, commit: bool = True) -> Host:
        """Save the host, as removed if that is wanted."""
        if self.cleaned_data["remove"]:
            self.instance.removed_at = timezone.now()
        made: Host = super().save(commit)
        return made


class HostFormset(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """The hosts of a site, of which one at least stays."""

    def clean(self) -> None:
        """Refuse a site without a host: nothing could be read or done there."""
        super().clean()
        kept = [form for form in self.forms if form.instance.pk or form.has_changed()]
        if kept and all(form.cleaned_data.get("remove") for form in kept if form.is_valid()):
            raise forms.ValidationError(gettext("A site needs a host: add another one before you remove the last."))


class HostInline(admin.TabularInline):  # type: ignore[type-arg]
    """The hosts of a site, in the order in which commands go to them.

    Whoever may change the site changes the order. Only superusers add, rename and remove: a host is where commands run.
    """

    model = Host
    formset = HostFormset
    extra = 0
    can_delete = False
    verbose_name_plural = gettext_lazy("hosts")
    readonly_fields = ("refuses",)
    fields = ("name", "position", "refuses", "remove")

    @admin.display(description=gettext_lazy("Does not run"))
    def refuses(self, host: Host) -> str:
        """Say which commands of Autosubmit the host refuses."""
        return ", ".join(host.refused) or (presentation.NOTHING if host.rules_asked_at else gettext("not known yet"))

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        """Let only superusers remove a host."""
        form = HostForm if is_superuser(request) else OrderForm
        return super().get_formset(request, obj, **kwargs | {"form": form})

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave out the removal for those who do not remove."""
        return self.fields if is_superuser(request) else self.fields[:-1]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Let only superusers change a name."""
        return self.readonly_fields if is_superuser(request) else (*self.readonly_fields, "name")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only superusers; a new site has got its first host."""
        return is_superuser(request) and obj is not None

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Show them to whoever sees the site."""
        return True

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As it is with the site."""
        return request.user.has_perm("experiments.change_site")


def is_superuser(request: HttpRequest) -> bool:
    """Answer whether the user decides what is executed and where."""
    return bool(getattr(request.user, "is_superuser", False))


def show_health(site: Site) -> SafeString:
    """Say whether commands can run at a site, with the reason if not."""
    if site.problem:
        return format_html(
            '<span class="state state-failed">{}</span> <span class="reason">{}</span>',
            gettext("Unhealthy"),
            presentation.in_zone(site.problem),
        )
    return format_html('<span class="state state-succeeded">{}</span>', gettext("Healthy"))


def show_freshness(site: Site) -> SafeString:
    """Say when the mirror last looked, and whether that is too long ago."""
    if not site.is_mirror_fresh:
        return format_html('<span class="flag">{}</span> {}', gettext("Stale"), when(site.mirrored_at))
    return when(site.mirrored_at)


@admin.register(Site, site=console)
class SiteAdmin(RequestPages, ConsoleAdmin):
    """Sites. What is done to a site, such as creating an experiment, is asked for by buttons."""

    form = SiteForm
    inlines = (HostInline,)
    request_targets = (Target.SITE,)
    change_form_template = "admin/portal/site.html"
    live_seconds = 5
    actions = None
    list_display = ("slug", "name", "health", "autosubmit_version", "mirrored", "queue", "is_default")
    csv_columns = {
        "slug": "slug",
        "name": "name",
        "problem": "problem",
        "autosubmit_version": "autosubmit_version",
        "mirrored_at": "mirrored_at",
        "queue": "queue",
        "is_default": "is_default",
    }
    search_fields = ("slug", "name")
    fieldsets = (
        (None, {"fields": ("name", "slug", "is_default")}),
        ("Autosubmit", {"fields": ("autosubmit", "home", "configuration", "program")}),
        (
            gettext_lazy("Operation"),
            {"fields": ("queue", "run_as", "refresh_seconds", "most_commands", "package_kinds", "disabled_kinds")},
        ),
        (gettext_lazy("Operational experiments"), {"fields": ("unpushed",)}),
        (gettext_lazy("Approval"), {"fields": ("approval_kinds", "approval_hours")}),
    )
    prepopulated_fields = {"slug": ("name",)}

    health = make_column(gettext_lazy("Health"), show_health, "problem")
    mirrored = make_column(gettext_lazy("Mirror"), show_freshness, "mirrored_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the sites that the user may see or change."""
        return Site.objects.all() if self.has_change_permission(request) else super().get_queryset(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Only superusers: a site names a program, which the workers run."""
        return is_superuser(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Make what is executed, where and as whom read-only except for superusers."""
        return () if self.has_add_permission(request) else Site.EXECUTION

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: experiments, actions and audit entries refer to it."""
        return False

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        """Propose a short name for a new site only."""
        return {} if obj else dict(self.prepopulated_fields)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the health above the settings."""
        stamps.begin_part(request, [Site.objects.filter(pk=parse_number(object_id) or 0)], shows_files=True)
        site = self.get_object(request, object_id)
        context: dict[str, Any] = {}
        if site is not None:
            kinds = list_allowed_kinds(request.user, self.request_targets, self.get_subject(site))
            context["buttons"] = make_buttons(request, self.get_subject(site), kinds, self.request_route, site.pk)
            context |= {"site": site, "may_test": self.has_change_permission(request)}
            context |= {"silent": list_silent(site), "may_call_empty": may_call_empty(site, request.user)}
        return super().change_view(request, object_id, extra_context=context)

    def get_urls(self) -> list[URLPattern]:
        """Add the test of the connection to the hosts, and what is said of those that are silent."""
        return [
            self.make_row_url("connection", self.connection_view),
            self.make_row_url("call-empty", require_POST(self.call_empty_view)),
            *super().get_urls(),
        ]

    def call_empty_view(self, request: HttpRequest, object_id: int | str) -> HttpResponse:
        """Say of a silent host that no run lives there, for the reason that was given, and go back to the page."""

        def decide(site: Site) -> str:
            silent = site.hosts.filter(pk=parse_number(request.POST.get("host")) or 0).first()
            if silent is None:
                raise Conflict(gettext("{site} has no such host any more.").format(site=site))
            reason = request.POST.get("reason", "")
            call_empty(silent, actor=get_actor(request), origin=make_origin(request), reason=reason)
            return gettext("Until {silent} is seen again, it counts as a host where nothing runs.").format(
                silent=silent
            )

        return self.change_row(request, object_id, decide)

    def connection_view(self, request: HttpRequest, object_id: int | str) -> HttpResponse:
        """Show what the hosts of a site find of all that an action needs, to those who may change the site."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        site = self.get_visible_object(request, str(object_id))
        context = {
            **console.each_context(request),
            "title": gettext("Connection of {site}").format(site=site),
            "site": site,
        }
        findings = describe_findings(health.examine_hosts(site))
        return TemplateResponse(request, "admin/portal/connection.html", context | findings)

    def form_page(self, request: HttpRequest, object_id: int | str, name: str) -> FormPage:
        """Offer the other sites on the form page."""
        page = super().form_page(request, object_id, name)
        sites = self.get_queryset(request).order_by("-is_default", "slug")
        others = [
            {
                "name": site.name,
                "address": reverse(f"admin:{self.request_route}", args=[site.pk, name]),
                "is_current": site.pk == object_id,
            }
            for site in sites
        ]
        page.frame["sites"] = others if len(others) > 1 else []
        return page

    def get_subject(self, obj: Site) -> Subject:
        """The site itself."""
        return Subject(site=obj)
