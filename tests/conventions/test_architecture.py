"""`docs/architecture.md` against the product."""

from django.conf import settings

from autosubmit_portal.management.processes import make_commands


def test_the_picture_has_every_process_of_a_portal_and_the_agent() -> None:
    page = (settings.BASE_DIR / "docs" / "architecture.md").read_text(encoding="utf-8")
    picture = page.split("```")[1]
    assert [name for name in [*make_commands("127.0.0.1", 8000), "agent"] if f"│ {name} " not in picture] == []
