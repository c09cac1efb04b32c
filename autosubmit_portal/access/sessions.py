"""End the sessions of an account: a change of its sign-in holds for older sessions too."""

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone


def end_sessions(user: User, *, but: str = "", marked: dict[str, str] | None = None) -> None:
    """End all sessions of the account but the one with the key `but`, or those only that hold what `marked` says.

    The owner of a session is only in its sealed content, so all sessions are read. This happens a few times a year.
    """
    current = Session.objects.filter(expire_date__gt=timezone.now()).exclude(pk=but)
    wanted = {SESSION_KEY: str(user.pk), **(marked or {})}.items()
    theirs = [row.pk for row in current.iterator() if wanted <= row.get_decoded().items()]
    Session.objects.filter(pk__in=theirs).delete()


def end_other_sessions(request: HttpRequest, user: User) -> None:
    """End all sessions of the account but that of the request, which gets a new key."""
    request.session.cycle_key()
    end_sessions(user, but=request.session.session_key or "")


@receiver(post_save, sender=User)
def _end_of_closed(instance: User, **_: object) -> None:
    """End the sessions of a closed account: they must not work again when it is opened again."""
    if not instance.is_active:
        end_sessions(instance)
