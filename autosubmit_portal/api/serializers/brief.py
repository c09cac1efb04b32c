"""What lists show of long values: ten thousand job names stand in the answer about one thing, not in every list."""

from typing import Any

FEW = 20
LONGEST_TEXT = 1000


def shorten(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with lists cut to their first entries and texts to their beginning, at every depth.

    Beside a list that was cut stands `<its name>_count`, how many entries it has.
    """
    shown: dict[str, Any] = {}
    for name, value in values.items():
        shown[name] = _cut(value)
        if isinstance(value, list) and len(value) > FEW:
            shown[f"{name}_count"] = len(value)
    return shown


def _cut(value: Any) -> Any:
    match value:
        case dict():
            return shorten(value)
        case list():
            return [_cut(item) for item in value[:FEW]]
        case str() if len(value) > LONGEST_TEXT:
            return f"{value[:LONGEST_TEXT]}…"
    return value
