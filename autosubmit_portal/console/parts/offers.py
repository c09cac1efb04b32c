"""What the form of an action offers for fields that name something at a site: experiments, platforms, programs."""

from collections import Counter
from typing import Any

from django.urls import reverse

from autosubmit_portal.console.parts.forms import ActionForm
from experiments import programs
from experiments.models import Experiment, Site

# Platforms are those of so many newest experiments.
MOST_READ = 500


def offer(form: ActionForm, user: Any, site: Site) -> ActionForm:
    """Return the form with what somebody may choose from at the site; each field still takes what is typed.

    A new form names the platform that most experiments have, and asks for a program only where there are several.
    """
    for option in form.options:
        field: Any = form.fields[option.name]
        if option.is_expid:
            field.choices_address = reverse("admin:search_experiments", args=[site.pk])
            field.widget.attrs["data-offers"] = field.choices_address
        elif option.names_platform:
            platforms = list_platforms(user, site)
            _offer_names(form, option.name, platforms)
            form.initial = {option.name: next(iter(platforms), ""), **form.initial}
        elif option.names_program:
            _offer_names(form, option.name, list(programs.list_programs(site)))
            if not (field.offers or form[option.name].value()):
                del form.fields[option.name]
    return form


def list_platforms(user: Any, site: Site) -> list[str]:
    """Return the platforms of experiments of a site that somebody may see: the main ones, the most used first.

    Those that a configuration only gives limits follow.
    """
    visible = Experiment.objects.visible_to(user).filter(site=site, gone_at=None)
    rows = list(visible.order_by("-pk").values_list("hpc", "limits")[:MOST_READ])
    main = Counter(hpc for hpc, _ in rows if hpc)
    others = sorted({name for _, limits in rows for name in limits if name})
    known = {name.upper() for name in main}
    return [name for name, _ in main.most_common()] + [name for name in others if name.upper() not in known]


def _offer_names(form: ActionForm, name: str, offers: list[str]) -> None:
    """Name the list of offers at the field: the browser shows it while one types."""
    field: Any = form.fields[name]
    field.offers = offers
    field.widget.attrs["list"] = f"offers-{name}"
