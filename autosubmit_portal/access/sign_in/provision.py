"""Accounts of identity providers, and what each grants: memberships, roles at sites, groups.

Rows of the provider are separate from those that managers make by hand, which are never touched here.
"""

import logging
from collections.abc import Mapping
from typing import Any

from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction
from django.http import HttpRequest

from autosubmit_portal.access.models import Identity, Membership, SiteRole, Team
from autosubmit_portal.access.roles import Role
from autosubmit_portal.access.sign_in import claims as rules
from autosubmit_portal.access.sign_in.providers import Person
from autosubmit_portal.access.sign_in.single_sign_on import SocialAdapter, make_provider

logger = logging.getLogger(__name__)


def find_account(request: HttpRequest, person: Person) -> SocialAccount:
    """Return the account of somebody, made if necessary, with what the provider grants."""
    account = get_account(request, person)
    if person.values is not None:  # a token without the claims says nothing about groups
        _provide(account, person, person.values)
    return account


def get_account(request: HttpRequest, person: Person) -> SocialAccount:
    """Return the account of somebody, made if necessary."""
    return _find_known(person) or _make(request, person)


def provide_at_sign_in(account: SocialAccount, person: Person) -> None:
    """Give the account what the provider grants now; take what it granted before and no longer grants."""
    Identity.objects.filter(account=account).update(digest="")
    _provide(account, person, person.values or frozenset())


def _find_known(person: Person) -> SocialAccount | None:
    accounts = SocialAccount.objects.select_related("user", "identity")
    return accounts.filter(provider=person.provider.source, uid=person.subject).first()


def _make(request: HttpRequest, person: Person) -> SocialAccount:
    login = make_provider(request, person.provider).make_login(person)
    try:
        with transaction.atomic():
            SocialAdapter(request).save_user(request, login)
    except IntegrityError:  # another request with a token of the same subject was faster
        account = _find_known(person)
        if account is None:
            raise
        return account
    made: SocialAccount = login.account
    return made


def _provide(account: SocialAccount, person: Person, values: frozenset[str]) -> None:
    """Change what the account was given, unless it is the same already or comes from an older word."""
    source = person.provider.source
    granted = rules.find_grants(values, person.provider.rules)
    digest = rules.compute_digest(granted)
    identity = getattr(account, "identity", None)
    if identity and (identity.digest == digest or person.told_at < identity.issued_at):
        return
    with transaction.atomic():
        identity, _ = Identity.objects.select_for_update().get_or_create(
            account=account, defaults={"issued_at": person.told_at}
        )
        unknown = _provide_teams(account.user, source, granted) | _provide_sites(account.user, source, granted)
        _provide_groups(account.user, identity, granted)
        # What is not there yet is looked for again with the next token.
        identity.digest, identity.issued_at = "" if unknown else digest, person.told_at
        identity.save()
    if unknown:
        names = ", ".join(sorted(unknown))
        logger.warning("%s_TEAMS grants roles in what is not there: %s", person.provider.prefix, names)


def _provide_teams(user: User, source: str, granted: frozenset[rules.Grant]) -> set[str]:
    """Make and delete memberships of the provider; return the slugs of unknown teams."""
    wanted = {grant.team: grant.role for grant in granted if grant.team}
    teams = dict(Team.objects.filter(slug__in=wanted).values_list("slug", "pk"))
    roles = {pk: wanted[slug] for slug, pk in teams.items()}
    _keep(Membership, "team_id", roles, user=user, source=source)
    return wanted.keys() - teams.keys()


def _provide_sites(user: User, source: str, granted: frozenset[rules.Grant]) -> set[str]:
    """Make and delete roles at sites of the provider; return the slugs of unknown sites."""
    wanted = {grant.site: grant.role for grant in granted if grant.site}
    model = SiteRole._meta.get_field("site").related_model
    sites = dict(model._default_manager.filter(slug__in=wanted).values_list("slug", "pk"))
    roles = {pk: wanted[slug] for slug, pk in sites.items()}
    _keep(SiteRole, "site_id", roles, user=user, source=source)
    return wanted.keys() - sites.keys()


def _keep(model: type[Membership | SiteRole], of: str, roles: Mapping[int, Role], **owner: Any) -> None:
    """Make the rows of the owner match `roles`, one by one, so that each change is in the trail."""
    rows = {getattr(row, of): row for row in model._default_manager.filter(**owner)}
    for pk, row in rows.items():
        if pk not in roles:
            row.delete()
    for pk, role in roles.items():
        row = rows.get(pk) or model(**{of: pk}, **owner)
        if row.pk is None or row.role != role:
            row.role = role
            row.save()


def _provide_groups(user: User, identity: Identity, granted: frozenset[rules.Grant]) -> None:
    """Add and remove groups of roles everywhere. A group that was given by hand is not the provider's."""
    names = {grant.role.title for grant in granted if not grant.team and not grant.site}
    given = set(identity.groups.all())
    wanted = set(Group.objects.filter(name__in=names))
    user.groups.remove(*given - wanted)
    identity.groups.remove(*given - wanted)
    new = wanted - given - set(user.groups.all())
    user.groups.add(*new)
    identity.groups.add(*new)
