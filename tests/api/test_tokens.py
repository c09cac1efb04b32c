"""API tokens through the API: made with at most the scope of who asks, listed, revoked, and held to their scope."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from autosubmit_portal.access.models import ApiToken, Team
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from experiments.models import Action, Experiment
from tests.support import factories

TOKENS = "/v4/tokens"
RUN = "/v4/experiments/a000?action=run"
STOP = "/v4/experiments/a000?action=stop"


@pytest.fixture
def with_token() -> Callable[..., APIClient]:
    """Make clients that hold a token of a user with these columns."""

    def client(user: User, **values: Any) -> APIClient:
        made = APIClient()
        made.credentials(HTTP_AUTHORIZATION=f"Bearer {factories.create_token(user, **values)}")
        return made

    return client


def test_somebody_makes_a_token_and_uses_it(as_viewer: APIClient, experiment: Experiment) -> None:
    answer = as_viewer.post(TOKENS, {"name": "script"}, format="json")
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['token']}")
    assert (answer.status_code, answer["Cache-Control"]) == (201, "no-store")
    assert client.get("/v4/experiments/a000").status_code == 200


def test_the_text_of_a_token_is_kept_nowhere(as_viewer: APIClient) -> None:
    text = as_viewer.post(TOKENS, {"name": "script"}, format="json").json()["token"]
    assert text not in as_viewer.get(TOKENS).content.decode()
    rows = [*ApiToken.objects.values_list(), *AuditEntry.objects.values_list()]
    assert not any(text in str(row) for row in rows)


def test_a_token_is_good_for_90_days_unless_told_otherwise(as_viewer: APIClient) -> None:
    as_viewer.post(TOKENS, {"name": "script"}, format="json")
    expiry = ApiToken.objects.get(name="script").expiry
    assert expiry
    left = expiry - timezone.now()
    assert timedelta(days=89) < left <= timedelta(days=90)


@pytest.mark.parametrize("body", [{"days": 0}, {"days": 366}, {"kinds": ["fly"]}, {"kinds": "run"}, {"name": ""}])
def test_a_token_that_cannot_be_is_refused_and_the_field_named(as_viewer: APIClient, body: dict[str, Any]) -> None:
    answer = as_viewer.post(TOKENS, {"name": "script"} | body, format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, list(body))
    assert not ApiToken.objects.filter(name="script").exists()


def test_a_token_does_what_it_is_for_and_nothing_else(
    with_token: Callable[..., APIClient], operator: User, experiment: Experiment
) -> None:
    client = with_token(operator, kinds=["run"])
    refused = client.post(STOP)
    assert client.post(RUN).status_code == 202
    assert refused.status_code == 403
    assert "this credential is limited to run" in refused.json()["detail"]
    assert AuditEntry.objects.filter(event="action.refused", kind="stop").exists()


def test_a_token_that_is_only_to_read_changes_nothing(
    with_token: Callable[..., APIClient], admin_user: User, experiment: Experiment
) -> None:
    client = with_token(admin_user, kinds=[], name="display")
    mine = ApiToken.objects.get(name="display")
    assert client.get("/v4/experiments/a000").status_code == 200
    assert client.post(RUN).status_code == 403
    assert client.post(TOKENS, {"name": "x", "kinds": []}, format="json").status_code == 403
    assert client.delete(f"{TOKENS}/{mine.token_key}").status_code == 403
    assert (Action.objects.count(), ApiToken.objects.count()) == (0, 1)


@pytest.mark.parametrize(
    ("kinds", "status"), [(["run"], 201), ([], 201), (["run", "stop"], 403), (["create"], 403), (None, 403)]
)
def test_a_token_makes_none_with_more_than_itself_has(
    with_token: Callable[..., APIClient], operator: User, kinds: list[str] | None, status: int
) -> None:
    answer = with_token(operator, kinds=["run"]).post(TOKENS, {"name": "child", "kinds": kinds}, format="json")
    assert answer.status_code == status
    assert ApiToken.objects.filter(name="child").exists() is (status == 201)


def test_a_token_makes_none_that_lives_longer(with_token: Callable[..., APIClient], viewer: User) -> None:
    client = with_token(viewer, expiry=timedelta(days=10))
    assert client.post(TOKENS, {"name": "child", "days": 11}, format="json").status_code == 400
    assert client.post(TOKENS, {"name": "child"}, format="json").status_code == 201
    parent, child = ApiToken.objects.order_by("created")
    assert child.expiry
    assert parent.expiry
    assert child.expiry <= parent.expiry


def test_a_refused_token_is_in_the_trail(with_token: Callable[..., APIClient], viewer: User) -> None:
    with_token(viewer, kinds=[]).post(TOKENS, {"name": "child"}, format="json")
    entry = AuditEntry.objects.get(event="api_token.refused")
    assert (entry.subject, entry.actor_name) == ("child", viewer.username)


def test_somebody_sees_and_revokes_only_their_own(as_viewer: APIClient, as_operator: APIClient, operator: User) -> None:
    theirs = ApiToken.objects.get(user=operator)
    assert [token["user"] for token in as_viewer.get(TOKENS).json()["results"]] == ["viewer"]
    assert as_viewer.delete(f"{TOKENS}/{theirs.token_key}").status_code == 404
    assert as_operator.delete(f"{TOKENS}/{theirs.token_key}").status_code == 204
    assert as_operator.get(TOKENS).status_code == 401


def test_a_manager_sees_and_revokes_the_tokens_of_others(as_manager: APIClient, viewer: User) -> None:
    factories.create_token(viewer, name="leaked")
    token = ApiToken.objects.get(name="leaked")
    assert "leaked" in [row["name"] for row in as_manager.get(TOKENS).json()["results"]]
    assert as_manager.delete(f"{TOKENS}/{token.token_key}").status_code == 204
    assert AuditEntry.objects.get(event="api_token.deleted").actor_name == "manager"


def test_a_limited_token_revokes_none_but_itself(with_token: Callable[..., APIClient], operator: User) -> None:
    client = with_token(operator, kinds=["run"], name="limited")
    factories.create_token(operator, name="other")
    keys = {token.name: token.token_key for token in ApiToken.objects.all()}
    codes = [client.delete(f"{TOKENS}/{keys[name]}").status_code for name in ("other", "limited")]
    assert codes == [403, 204]


def test_the_pages_of_the_list_lead_to_every_token(as_viewer: APIClient, viewer: User) -> None:
    for number in range(4):
        factories.create_token(viewer, name=str(number))
    first = as_viewer.get(f"{TOKENS}?page_size=3").json()
    second = as_viewer.get(first["next"]).json()
    assert len({token["id"] for token in first["results"] + second["results"]}) == 5


def test_a_good_token_is_told_who_it_is(as_viewer: APIClient) -> None:
    answer = as_viewer.get("/v4/auth/verify-token")
    assert (answer.status_code, answer.json()) == (200, {"authenticated": True, "user": "viewer"})


def test_a_bad_token_is_told_that_it_is_bad(api: Callable[..., APIClient]) -> None:
    client = api()
    client.credentials(HTTP_AUTHORIZATION="Bearer nonsense")
    assert client.get("/v4/auth/verify-token").status_code == 401


def test_the_longest_time_is_a_setting(settings: Any, as_viewer: APIClient) -> None:
    settings.TOKEN_DAYS = 30
    answer = as_viewer.post(TOKENS, {"name": "script", "days": 31}, format="json")
    assert (answer.status_code, answer.json()["errors"]) == (400, {"days": ["Choose 1 to 30 days."]})


# --- Teams


@pytest.fixture
def team(operator: User, experiment: Experiment) -> Team:
    """A team with the operator, which covers a000 and not b000."""
    factories.create_experiment(experiment.site, expid="b000")
    return factories.create_team((operator, Role.OPERATOR), covers={"expid_pattern": "a*"}, slug="ours")


def seen(client: APIClient) -> list[str]:
    return sorted(row["expid"] for row in client.get("/v4/experiments").json()["experiments"])


def limited(client: APIClient, teams: list[str] | None = None) -> Any:
    return client.post(TOKENS, {"name": "limited", "teams": teams}, format="json")


def test_a_token_of_a_team_sees_and_does_what_the_team_covers(as_operator: APIClient, team: Team) -> None:
    answer = limited(as_operator, ["ours"])
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['token']}")
    assert (answer.json()["teams"], seen(as_operator), seen(client)) == (["ours"], ["a000", "b000"], ["a000"])
    assert client.post("/v4/experiments/b000?action=run").status_code == 404


def test_a_token_whose_team_is_dissolved_sees_nothing(as_operator: APIClient, team: Team) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {limited(as_operator, ['ours']).json()['token']}")
    team.delete()
    assert client.get("/v4/experiments/a000").status_code in (403, 404)


def test_a_token_is_limited_to_ones_own_teams_only(as_operator: APIClient, team: Team) -> None:
    factories.create_team(slug="theirs")
    answer = limited(as_operator, ["theirs"])
    assert (answer.status_code, answer.json()["errors"]) == (400, {"teams": ["“theirs” is none of: ours."]})


def test_a_token_of_a_team_makes_none_without_that_limit(as_operator: APIClient, team: Team) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {limited(as_operator, ['ours']).json()['token']}")
    assert [limited(client, teams).status_code for teams in (None, ["ours"], [])] == [403, 201, 201]


def test_a_token_of_a_team_shows_no_wider_ones(as_operator: APIClient, team: Team) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {limited(as_operator, ['ours']).json()['token']}")
    assert [row["name"] for row in client.get(TOKENS).json()["results"]] == ["limited"]
    wider = ApiToken.objects.exclude(name="limited").get()
    assert client.delete(f"{TOKENS}/{wider.token_key}").status_code == 404


def test_the_teams_of_a_token_are_in_the_trail(as_operator: APIClient, team: Team) -> None:
    limited(as_operator, ["ours"])
    assert AuditEntry.objects.get(event="api_token.limited").message == "ours"
