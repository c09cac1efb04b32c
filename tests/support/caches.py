"""Forgetting what a process keeps between requests, for tests that want to see it learnt anew."""

from autosubmit_portal.access.sign_in import bearer
from autosubmit_portal.api.http.conditional import kept_answers
from autosubmit_portal.console import stamps
from autosubmit_portal.console.pages.pictures import kept_pictures
from experiments import failures, performances


def forget_answers() -> None:
    """Have the API make every answer anew, the console every picture, and both read anew how experiments perform.

    And why jobs failed.
    """
    kept_answers._kept.clear()
    performances._kept.clear()
    failures._kept.clear()
    kept_pictures.clear()


def forget_stamps() -> None:
    """Have every statement of the live pages made anew."""
    stamps._kept.clear()
    stamps.look_once_a_second.cache_clear()


def forget_keys() -> None:
    """Have the keys of the identity provider fetched anew."""
    bearer._load_keys.cache_clear()
    bearer._failed_at.clear()
