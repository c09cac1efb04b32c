"""Two who use one invitation at the same moment. What else holds of invitations: tests/console/test_invitations.py."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.contrib.auth.models import User
from django.db import connection

from autosubmit_portal.access.models import Invitation, compute_digest
from autosubmit_portal.access.rights.invitations import NotInvited, find_invitation, join
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from tests.support import factories


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one writer")
def test_of_many_who_join_by_one_link_at_once_one_is_in_the_team() -> None:
    manager, people = factories.create_user(), [factories.create_user() for _ in range(6)]
    team = factories.create_team((manager, Role.MANAGER))
    invitation = find_invitation(compute_digest(factories.create_invitation(team, manager)))
    assert invitation
    barrier = Barrier(len(people))

    def try_to_join(person: User) -> bool:
        try:
            barrier.wait()
            join(invitation, person, origin=Origin(door=Door.ADMIN))
        except NotInvited:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(len(people)) as pool:
        joined = list(pool.map(try_to_join, people))
    assert sum(joined) == team.memberships.exclude(user=manager).count() == 1
    assert AuditEntry.objects.filter(event="invitation.accepted").count() == 1
    assert not Invitation.objects.exists()
