"""What differs between two configurations."""

from typing import Any

import pytest

from experiments.autosubmit.shown_configuration import (
    ConfigurationChange,
    ShownConfiguration,
    compare_configurations,
    compare_shown,
)
from jobs.autosubmit.secrets import MASK, mask_value


def shown(values: dict[str, Any]) -> ShownConfiguration:
    visible, where = mask_value(values)
    return ShownConfiguration(visible, where, _unmasked=values)


def compared(old: dict[str, Any], new: dict[str, Any]) -> list[ConfigurationChange]:
    return compare_configurations(shown(old), shown(new))


def test_each_key_that_differs_is_named_with_both_values() -> None:
    old = {"A": {"B": 1, "C": [1, 2], "D": "x"}, "E": {}}
    new = {"A": {"B": 2, "C": [1], "D": "x"}, "F/G": None}
    assert compared(old, new) == [
        ConfigurationChange("/A/B", "changed", 1, 2),
        ConfigurationChange("/A/C/1", "removed", 2),
        ConfigurationChange("/E", "removed", {}),
        ConfigurationChange("/F~1G", "added", new=None),
    ]


def test_a_secret_that_is_another_now_is_changed_and_not_shown() -> None:
    old, new = ({"TOKEN": token, "URL": f"https://u:{token}@h"} for token in ("old-one", "new-one"))
    assert compared(old, new) == [
        ConfigurationChange("/TOKEN", "changed", MASK, MASK),
        ConfigurationChange("/URL", "changed", f"https://u:{MASK}@h", f"https://u:{MASK}@h"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "is_same"),
    [(4, "4", True), (4, "5", False), (True, "True", True), ("", None, False), (0, False, True), ("a", "A", False)],
)
def test_a_number_and_its_text_are_the_same(old: Any, new: Any, is_same: bool) -> None:
    assert (compared({"A": old}, {"A": new}) == []) is is_same


def test_who_ran_the_command_is_not_compared() -> None:
    assert compared({"AS_ENV_CURRENT_USER": "ana"}, {"AS_ENV_CURRENT_USER": None}) == []


def test_what_is_shown_of_two_configurations_is_compared_without_what_was_not_told() -> None:
    old = ShownConfiguration({"A": 1, "TOKEN": "***"}, ["/TOKEN"])
    new = ShownConfiguration({"A": 2, "TOKEN": "***"}, ["/TOKEN"])
    assert compare_shown(old, new) == [ConfigurationChange("/A", "changed", 1, 2)]
