"""`make sbom` lists what the definition of the images installs."""

import pytest

from tests.support.containerfile import read_stages
from tests.tools.sbom import add_debian, list_debian


@pytest.mark.parametrize(
    ("image", "some"),
    [("portal", {"python3", "tini", "tzdata", "ca-certificates"}), ("agent", {"git", "openssh-client", "tini"})],
)
def test_the_packages_of_debian_are_those_of_the_definition(image: str, some: set[str]) -> None:
    named = list_debian(read_stages()[image])
    assert some <= set(named)
    assert not [name for name in named if not name.replace("-", "").replace("3", "").isalpha()]


def test_they_stand_beside_those_of_python() -> None:
    made = add_debian({"components": [{"name": "django"}]}, read_stages()["portal"])
    names = [one["name"] for one in made["components"]]
    assert names == ["django", "debian", *list_debian(read_stages()["portal"])]
    assert "pkg:deb/debian/tini?distro=bookworm" in [one.get("purl") for one in made["components"]]
