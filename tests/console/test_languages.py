"""The languages of the console: all words are translated, catalogues are compiled as they stand, pages speak them."""

import gettext
import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import translation

from autosubmit_portal.access.preferences import set_preferences
from autosubmit_portal.agent.findings import Finding, Level
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from autosubmit_portal.console.parts.catalogue import get_forms
from autosubmit_portal.console.parts.presentation import number, rounded, translate
from autosubmit_portal.sentences import add, say
from experiments.attention.alarm import tell_alarms
from experiments.attention.facts import RunFacts
from experiments.attention.rules import find_alarms
from experiments.models import Experiment, State
from jobs.models import Job
from tests.support import factories
from tests.tools import messages

LANGUAGES = [pytest.param(path, id=path.parts[-3]) for path in messages.list_languages()]
SINCE = datetime(2026, 11, 29, 3, tzinfo=UTC)
EVIDENCE = "process 7 on node holds the lock"
VALUE = re.compile(r"\{(\w+)\}")
PLACE = re.compile(r"%\(\w+\)s|\{\w*\}")


@pytest.mark.parametrize("path", LANGUAGES)
def test_all_that_is_marked_is_translated(path: Path) -> None:
    assert not messages.list_missing(messages.read(path), messages.collect()), "Run make messages, and translate."


@pytest.mark.parametrize("path", LANGUAGES)
def test_nothing_is_translated_that_is_not_marked(path: Path) -> None:
    assert not {*messages.read(path).texts} - messages.collect(), "Run make messages."


@pytest.mark.parametrize("path", LANGUAGES)
def test_the_compiled_catalogue_is_that_of_the_text(path: Path) -> None:
    assert path.with_suffix(".mo").read_bytes() == messages.compile_catalogue(messages.read(path)), "Run make messages."


@pytest.mark.parametrize("path", LANGUAGES)
def test_translations_have_the_places_for_values_that_the_texts_have(path: Path) -> None:
    for key, translated in messages.read(path).texts.items():
        for form in translated:
            assert {*PLACE.findall(form)} == {*PLACE.findall(key.plural or key.text)}, key.text


@pytest.mark.parametrize("path", LANGUAGES)
def test_a_catalogue_stays_as_it_is_when_nothing_is_new(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "django.po"
    messages.write(copy, messages.read(path))
    assert copy.read_text() == path.read_text()


def test_python_reads_what_is_compiled() -> None:
    head = (
        'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n"Plural-Forms: nplurals=2; plural=n!=1;\\n"'
    )
    texts = {
        messages.Key("job"): ["trabajo"],
        messages.Key("To", context="time"): ["Hasta"],
        messages.Key("one", "many"): ["uno", "varios"],
    }
    found = gettext.GNUTranslations(io.BytesIO(messages.compile_catalogue(messages.Catalogue(head, texts))))
    assert (found.gettext("job"), found.pgettext("time", "To")) == ("trabajo", "Hasta")
    assert [found.ngettext("one", "many", number) for number in (1, 2)] == ["uno", "varios"]


def test_a_marked_word_without_a_translation_is_found() -> None:
    new = messages.Key("A word that is new")
    assert messages.list_missing(messages.Catalogue(texts={}), {new}) == [new]


def test_marked_words_are_found_in_code_and_templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs/code.py").write_text('say("{job} waits", job=1)\nngettext("one", "many", 2)\n')
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/page.html").write_text('{% translate "To" context "time" %}{{ none|default:_("None") }}')
    monkeypatch.setattr(messages, "ROOT", tmp_path)
    found = messages.collect()
    assert {("{job} waits", "", ""), ("one", "many", ""), ("To", "", "time"), ("None", "", "")} <= found


def test_the_sign_in_page_speaks_the_language_that_the_browser_asks_for(client: Client, db: None) -> None:
    page = client.get(reverse("admin:login"), headers={"accept-language": "es"}).content.decode()
    assert '<html lang="es"' in page
    assert "Iniciar sesión" in page


def test_a_page_speaks_the_language_that_somebody_prefers(
    as_viewer: Client, viewer: User, experiment: Experiment
) -> None:
    set_preferences(viewer, time_zone="", language="es")
    page = as_viewer.get(reverse("admin:experiments_experiment_change", args=[experiment])).content.decode()
    assert "Trabajos por sección y estado" in page
    assert "Con fallo" in page


def test_scripts_get_their_words_only_where_these_are_not_english(as_viewer: Client, viewer: User) -> None:
    english = as_viewer.get(reverse("admin:index")).content.decode()
    set_preferences(viewer, time_zone="", language="es")
    spanish = as_viewer.get(reverse("admin:index")).content.decode()
    assert 'id="words"' not in english
    assert '"just now": "ahora mismo"' in spanish


def test_pages_of_errors_speak_the_language_of_the_browser(as_viewer: Client) -> None:
    page = as_viewer.get("/nowhere/", headers={"accept-language": "es"}).content.decode()
    assert '<html lang="es">' in page
    assert "No encontrado" in page


def test_what_the_database_keeps_is_shown_in_the_language_and_the_zone_of_the_page(
    as_viewer: Client, viewer: User, experiment: Experiment
) -> None:
    set_preferences(viewer, time_zone="Europe/Madrid", language="es")
    facts = RunFacts(now=SINCE + timedelta(hours=1), is_running=True, evidence=EVIDENCE, alive_at=SINCE)
    Experiment.objects.update(attention=tell_alarms(find_alarms(facts)), attention_rules=",stalled,", evidence=EVIDENCE)
    action = factories.create_action(
        experiment, state=State.FAILED, message=str(say("Changed: {changes}.", changes="-"))
    )
    page = as_viewer.get(reverse("admin:experiments_experiment_change", args=[experiment])).content.decode()
    assert "La ejecución no da señales de vida desde 2026-11-29 04:00 CET." in page
    assert "El proceso 7 en node retiene el bloqueo, pero desde entonces no se escribió ni" in page
    assert "Cambios: -." in as_viewer.get(reverse("admin:experiments_action_change", args=[action.pk])).content.decode()


def test_numbers_are_written_as_the_language_of_the_page_does() -> None:
    assert (number(12345), rounded(1234.5, 1)) == ("12,345", "1,234.5")
    with translation.override("es"):
        assert (number(12345), rounded(1234.5, 1)) == ("12.345", "1.234,5")


def test_numbers_of_a_drawing_are_the_same_in_all_languages(
    as_viewer: Client, viewer: User, experiment: Experiment
) -> None:
    for state in (State.SUCCEEDED, State.FAILED, State.CANCELLED):
        factories.create_action(experiment, state=state)
    set_preferences(viewer, time_zone="", language="es")
    bars = re.findall('<rect class="strip-.*?/>', as_viewer.get(reverse("admin:index")).content.decode())
    assert bars
    assert "." in bars[0]
    assert "," not in "".join(bars)


def test_why_files_cannot_be_read_is_said_in_the_language_of_the_page(
    as_viewer: Client, viewer: User, experiment: Experiment
) -> None:
    set_preferences(viewer, time_zone="", language="es")
    page = as_viewer.get(reverse("admin:experiments_experiment_configuration", args=[experiment])).content.decode()
    assert "No hay configuración de Autosubmit" in page


def test_an_entry_of_the_trail_is_said_in_the_language_of_the_page_and_its_message_kept_beside(
    as_manager: Client, manager: User
) -> None:
    set_preferences(manager, time_zone="", language="es")
    origin = Origin(door=Door.COMMAND_LINE, credential="Unix account root")
    message, details = "a000 is gone from the store.", {"is_dry_run": True}
    entry = trail.record("action.refused", origin=origin, subject="user ana", message=message, details=details)
    page = as_manager.get(reverse("admin:audit_auditentry_change", args=[entry.pk])).content.decode()
    assert '<p class="lead pre-line" title="a000 is gone from the store.">a000 ya no está en el almacén.</p>' in page
    assert all(told in page for told in ("línea de órdenes", "Cuenta de Unix root", "usuario ana", "es simulacro"))


def test_lists_of_the_trail_speak_the_language_of_the_page(as_manager: Client, manager: User) -> None:
    set_preferences(manager, time_zone="", language="es")
    origin = Origin(door=Door.COMMAND_LINE)
    trail.record("team.changed", origin=origin, subject="site_role ana", message="a000 is gone from the store.")
    for address in (reverse("admin:audit_auditentry_changelist"), reverse("admin:activity")):
        page = as_manager.get(address).content.decode()
        assert all(told in page for told in ("rol en un sitio ana", "a000 ya no está en el almacén.")), address


def test_what_was_examined_at_a_host_is_said_in_the_language_of_the_page(
    admin_user: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = factories.create_site()
    found = [Finding(Level.FAIL, "site file", "It cannot be examined: no.", "Correct it.")]
    monkeypatch.setattr("experiments.hosts.examine", lambda host: found)
    set_preferences(admin_user, time_zone="", language="es")
    client.force_login(admin_user)
    page = client.get(reverse("admin:experiments_site_connection", args=[site.pk])).content.decode()
    assert "archivo del sitio: No se puede examinar: no.<br><b>Corríjalo.</b>" in page


def test_menus_of_lists_speak_the_language_of_the_page(as_operator: Client, operator: User, job: Job) -> None:
    set_preferences(operator, time_zone="", language="es")
    assert "Cambiar estado…" in as_operator.get(reverse("admin:jobs_job_changelist")).content.decode()
    actions = as_operator.get(reverse("admin:experiments_action_changelist")).content.decode()
    assert ">Tipo<" in actions
    assert ">Restablecer e iniciar<" in actions


def test_a_preview_says_what_is_missing_in_the_language_of_the_page(
    as_operator: Client, operator: User, job: Job
) -> None:
    set_preferences(operator, time_zone="", language="es")
    address = reverse("admin:experiments_experiment_request", args=[job.experiment, "set_status"])
    page = as_operator.post(f"{address}preview/", {"jobs": job.name}).content.decode()
    assert "<li><b>Estado</b>" in page
    sent = as_operator.post(address, {"jobs": job.name}).content.decode()
    assert "Este campo es requerido." in sent


def test_what_is_recorded_of_a_change_is_english_whatever_language_the_page_speaks(
    as_manager: Client, manager: User
) -> None:
    set_preferences(manager, time_zone="", language="es")
    as_manager.post(reverse("admin:access_team_add"), {"slug": "ocean", "name": "Ocean"})
    assert AuditEntry.objects.filter(event="team.created", subject="team ocean").exists()


def test_what_is_recorded_of_wrong_parameters_is_english_whatever_language_it_was_said_in(
    as_operator: Client, operator: User, experiment: Experiment
) -> None:
    set_preferences(operator, time_zone="", language="es")
    address = reverse("admin:experiments_experiment_request", args=[experiment, "update_description"])
    page = as_operator.post(address, {"description": ""}).content.decode()
    assert "Este campo es requerido." in page
    assert AuditEntry.objects.get(event="action.refused").message == "description: This field is required."


def test_what_is_recorded_of_a_lockout_is_english_whatever_language_the_browser_asks_for(
    client: Client, db: None
) -> None:
    for _ in range(settings.AXES_FAILURE_LIMIT):
        page: Any = client.post(
            reverse("admin:login"), {"username": "ana", "password": "x"}, headers={"accept-language": "es"}
        )
    assert "Demasiados inicios de sesión fallidos." in page.content.decode()
    assert AuditEntry.objects.get(event="sign_in.locked_out").message.startswith("Too many failed sign-ins.")


def test_what_is_recorded_of_a_refusal_is_english_whatever_language_it_was_said_in(
    as_operator: Client, operator: User, job: Job
) -> None:
    set_preferences(operator, time_zone="", language="es")
    Experiment.objects.filter(pk=job.experiment_id).update(is_running=True, evidence="process 7")
    address = reverse("admin:experiments_experiment_request", args=[job.experiment, "run"])
    page: Any = as_operator.post(address, {"reason": ""}).content.decode()
    assert "a000 está en ejecución (process 7). Deténgalo primero." in page
    assert AuditEntry.objects.get(event="action.refused").message == "a000 is running (process 7). Stop it first."


def test_the_api_answers_in_english_whoever_asks(as_operator: Client, operator: User, job: Job) -> None:
    set_preferences(operator, time_zone="", language="es")
    Experiment.objects.filter(pk=job.experiment_id).update(is_running=True, evidence="process 7")
    answer = as_operator.get("/v4/experiments/a000/permissions", headers={"accept-language": "es"})
    assert "está" not in answer.content.decode()


def test_a_sentence_is_english_and_says_itself_in_another_language() -> None:
    sentence = say("{expid} is gone from the store.", expid="a000")
    with translation.override("es"):
        assert translate(sentence) == "a000 ya no está en el almacén."
    assert sentence == "a000 is gone from the store."


def test_a_sentence_inside_of_a_sentence_is_translated_too() -> None:
    inner = say("no run was seen")
    with translation.override("es"):
        told = translate(say("{expid} is not running ({evidence}).", expid="a000", evidence=inner))
    assert told == "a000 no está en ejecución (no se vio ninguna ejecución)."


def test_braces_in_values_stay(db: None) -> None:
    with translation.override("es"):
        assert translate(say("{expid} is gone from the store.", expid="{x}")) == "{x} ya no está en el almacén."


KEPT = [
    ("Experiment a00c was created.", "Se creó el experimento a00c."),
    ("Process 7 on node holds the lock; its state is T.", "El proceso 7 en node retiene el bloqueo; su estado es T."),
    (
        "The command was killed by SIGKILL before it ended. Check the state of the experiment, then try again.",
        "La orden se mató con SIGKILL antes de terminar. Compruebe el estado del experimento e inténtelo de nuevo.",
    ),
    (
        "The job list was recovered: 1 job to READY, 2 jobs to WAITING.",
        "Se recuperó la lista de trabajos: 1 trabajo a READY, 2 trabajos a WAITING.",
    ),
    ("There are more than 200,000 jobs.", "Hay más de 200.000 trabajos."),
    (
        "The job list has 1,200 RUNNING, 3 QUEUING, but no process was found on node.",
        "La lista de trabajos tiene 1.200 RUNNING, 3 QUEUING, pero no se encontró ningún proceso en node.",
    ),
    (
        "a000 does not answer within 30 s: a disk may hang. It is left out for 60 s.",
        "a000 no responde en 30 s: puede que un disco esté colgado. Se deja fuera durante 60 s.",
    ),
    (
        "The job list a.pkl cannot be read: truncated: it is empty.",
        "No se puede leer la lista de trabajos a.pkl: truncado: está vacío.",
    ),
    (
        "The host runs2 has been away for 40 s. The host cannot be reached: Connection refused.",
        "El host runs2 lleva 40 s ausente. No se puede alcanzar el host: Connection refused.",
    ),
    (
        "Jobs changed: 2,000 from READY to COMPLETED, 1 added (a000_1, a000_2 and 1,999 more).",
        "Trabajos cambiados: 2.000 de READY a COMPLETED, 1 añadidos (a000_1, a000_2 y 1.999 más).",
    ),
    ("status: “x” is not one of READY, HELD.", "status: «x» no es uno de READY, HELD."),
    ("description: This field is required.", "description: Este campo es requerido."),
    ("Called off: The account of ana is gone.", "Anulada: La cuenta de ana ya no existe."),
    ("job lib crashed: {0} {", "job lib crashed: {0} {"),
    ("WAITING", "WAITING"),
]


@pytest.mark.parametrize(("kept", "shown"), KEPT)
def test_a_sentence_that_was_kept_as_text_is_found_again(kept: str, shown: str) -> None:
    with translation.override("es"):
        assert translate(kept) == shown
    assert translate(kept) == kept


def fill(name: str, place: int) -> str:
    """Return a value of this name: some are numbers."""
    return f"1,00{place}" if name in ("count", "number") else f"x{place}"


def test_each_sentence_that_is_kept_as_text_is_found_again_as_it_was_said() -> None:
    """Of all forms: whatever the database keeps says the same as what was said a moment ago."""
    told = [*get_forms("es")]
    assert len(told) > 100
    with translation.override("es"):
        for form in told:
            said = say(form, **{name: fill(name, place) for place, name in enumerate({*VALUE.findall(form)})})
            assert translate(str(said)) == translate(said), form


def test_a_blank_sentence_is_left_out() -> None:
    assert [add("", "It ended."), add("It ended.", ""), add("It ended.", "So it is.")] == [
        "It ended.",
        "It ended.",
        "It ended. So it is.",
    ]


@pytest.mark.parametrize("hostile", ["The run was stopped. " * 8 + "A", "The run was stopped" * 100])
def test_what_is_too_long_to_be_a_sentence_of_ours_stays_as_it_is(hostile: str) -> None:
    with translation.override("es"):
        assert translate(hostile) == hostile
