"""Conditions whose values are written into the statement."""

import pytest
from django.db.models import Q

from autosubmit_portal.db.written import Written
from experiments.models import Site
from tests.support import factories

NAME = "50% of 'all' %s \\"


@pytest.mark.django_db
def test_a_condition_that_is_written_means_what_it_says_without_parameters() -> None:
    site = factories.create_site(name=NAME)
    factories.create_site(name="50 of all")
    rows = Site.objects.filter(Written(Q(name=NAME) & ~Q(slug__startswith="%")))
    assert list(rows) == [site]
    assert rows.query.sql_with_params()[1] == ()
