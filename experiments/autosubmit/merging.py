"""How Autosubmit 4 makes one configuration of what stands in many files.

The rules are those of `AutosubmitConfig` in Autosubmit 4.1.17: a later file replaces values of an earlier one, key by
key; `%SECTION.KEY%` stands for another value; a section with `FOR` stands for several; keys are upper case. Nothing
here reads a file, and no function changes what it is given.
"""

import re
from typing import Any

from autosubmit_portal.sentences import say
from experiments.autosubmit.plain_data import MAX_VALUES, count_values

Config = dict[str, Any]

MAX_TEXT = 8_000_000
"""Characters that placeholders may put in altogether; each may stand for others."""

_MAX_ROUNDS = 25
_PLACEHOLDER = re.compile(r"%([A-Za-z0-9_.-]*)%")
_LAST_PLACEHOLDER = re.compile(r"%\^?([A-Za-z0-9_.-]*)%")
_WITH_SECONDS = re.compile(r"\d{2}:\d{2}:\d{2}")
_FINAL_STATUSES = ("READY", "DELAYED", "PREPARED", "SKIPPED", "FAILED", "COMPLETED")


class TooMuch(Exception):
    """Placeholders or a `FOR` stand for too much, or for nothing; the text says which."""


def unify(older: Config, newer: Config) -> Config:
    """Return both as one, where `newer` wins, with placeholders replaced and `FOR` written out."""
    made = write_out_loops(substitute(merge(older, newer)))
    if count_values(made) > MAX_VALUES:
        raise TooMuch(say("it holds more than {most} values", most=f"{MAX_VALUES:,}"))
    return made


def merge(older: Config, newer: Config) -> Config:
    """Return `older` with the values of `newer`; mappings are merged, lists replaced."""
    result = dict(older)
    for key, value in newer.items():
        old = result.get(key)
        result[key] = merge(old if isinstance(old, dict) else {}, value) if isinstance(value, dict) else value
    return result


def complete(config: Config, defaults: Config) -> Config:
    """Return `config` with what it lacks of `defaults`."""
    result = dict(config)
    for key, value in defaults.items():
        if key not in result:
            result[key] = value
        elif isinstance(value, dict) and isinstance(result[key], dict):
            result[key] = complete(result[key], value)
    return result


def substitute(config: Config, *, is_last: bool = False) -> Config:
    """Return `config` with each `%KEY%` and `%SECTION.KEY%` replaced that it has a value for.

    `%^KEY%` waits for the last time. Raises TooMuch when that would make it too large.
    """
    pattern = _LAST_PLACEHOLDER if is_last else _PLACEHOLDER
    spent = 0

    def get_value(match: re.Match[str]) -> str:
        nonlocal spent
        value = _look_up(config, match[1])
        spent += len(value)
        if spent > MAX_TEXT:
            raise TooMuch(say("its placeholders stand for more text than is read"))
        return value or match[0]

    def replace_placeholders(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: replace_placeholders(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [replace_placeholders(inner) for inner in value]
        return pattern.sub(get_value, value) if isinstance(value, str) and "%" in value else value

    for _ in range(_MAX_ROUNDS):
        before, config = config, replace_placeholders(config)
        if config == before:
            break
    return config


def _look_up(config: Config, name: str) -> str:
    """Return the value that a placeholder names as a text; blank if there is none."""
    value: Any = config
    for part in name.upper().split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, int):
        return str(value)
    return str(value) if value and not isinstance(value, dict) else ""


def write_out_loops(config: Config) -> Config:
    """Return `config` with each section that has a `FOR` replaced by one section for each of its names."""
    result: Config = {}
    for key, value in config.items():
        if not isinstance(value, dict):
            result[key] = value
        elif isinstance(value.get("FOR"), dict):
            result |= _write_out_section(key, value)
        else:
            result[key] = write_out_loops(value)
    return result


def _write_out_section(key: str, section: Config) -> Config:
    loops = {name: _list_items(key, values) for name, values in section["FOR"].items()}
    body = write_out_loops({name: value for name, value in section.items() if name != "FOR"})
    names = [str(name) for name in loops.pop("NAME", [])]
    if len(names) * count_values(body) > MAX_VALUES:
        raise TooMuch(say("the FOR in {key} makes more than {most} values", key=key, most=f"{MAX_VALUES:,}"))
    if any(len(values) < len(names) for values in loops.values()):
        raise TooMuch(say("the FOR in {key} has fewer values than names", key=key))
    return {
        f"{key}_{name.upper()}": substitute(body | {"NAME": name})
        | {other: values[number] for other, values in loops.items()}
        for number, name in enumerate(names)
        if "%" not in name
    }


def _list_items(key: str, values: Any) -> list[Any]:
    """Return the values of a loop: mappings as they are, all else as texts."""
    if not values:
        raise TooMuch(say("the FOR in {key} is empty", key=key))
    if isinstance(values, list) and isinstance(values[0], dict):
        return values
    return [item.strip("' ") for item in str(values).strip("[]").split(",")]


def uppercase_keys(config: Config) -> Config:
    """Return `config` with upper-case keys, also in mappings in lists."""
    return {str(key).upper(): _uppercase_value(value) for key, value in config.items()}


def _uppercase_value(value: Any) -> Any:
    if isinstance(value, dict):
        return uppercase_keys(value)
    if isinstance(value, list):
        return [uppercase_keys(item) if isinstance(item, dict) else item for item in value]
    return value


def normalise(config: Config, *, is_whole: bool = False) -> Config:
    """Return `config` in the form in which Autosubmit uses it; `is_whole` adds what every job has."""
    result = uppercase_keys(config)
    if isinstance(result.get("DEFAULT"), dict):
        result["DEFAULT"] = _normalise_default(result["DEFAULT"])
    for section, form in (("WRAPPERS", _normalise_wrapper), ("JOBS", _complete_job if is_whole else _normalise_job)):
        if isinstance(result.get(section), dict):
            result[section] = {
                name: form(value) if isinstance(value, dict) else value for name, value in result[section].items()
            }
    return result


def _normalise_default(default: Config) -> Config:
    result = dict(default)
    if "HPCARCH" in default:
        result["HPCARCH"] = str(default["HPCARCH"]).upper()
    if isinstance(default.get("CUSTOM_CONFIG"), dict):
        result["CUSTOM_CONFIG"] = {
            place: ",".join(map(str, names)) if isinstance(names, list) else names
            for place, names in default["CUSTOM_CONFIG"].items()
        }
    return result


def _normalise_wrapper(wrapper: Config) -> Config:
    result = dict(wrapper)
    jobs = wrapper.get("JOBS_IN_WRAPPER")
    if isinstance(jobs, str):
        jobs = re.split(r"[\s,&]+", jobs.strip("[]").replace("'", "").strip())
    if isinstance(jobs, list):
        result["JOBS_IN_WRAPPER"] = [job.upper().strip() if isinstance(job, str) else job for job in jobs]
    if "TYPE" in wrapper:
        result["TYPE"] = str(wrapper["TYPE"]).lower()
    return result


def _complete_job(job: Config) -> Config:
    return {"ADDITIONAL_FILES": []} | _normalise_job({"DEPENDENCIES": {}, "FILE": ""} | job)


def _normalise_job(job: Config) -> Config:
    result = dict(job)
    if "DEPENDENCIES" in job:
        result["DEPENDENCIES"] = _normalise_dependencies(job["DEPENDENCIES"])
    if isinstance(job.get("CUSTOM_DIRECTIVES"), list):
        result["CUSTOM_DIRECTIVES"] = str(job["CUSTOM_DIRECTIVES"])
    if "FILE" in job:
        first, *others = _split_files(job["FILE"])
        result["FILE"] = first
        if others:
            result["ADDITIONAL_FILES"] = others
    wallclock = job.get("WALLCLOCK")
    if isinstance(wallclock, str) and _WITH_SECONDS.fullmatch(wallclock):
        result["WALLCLOCK"] = wallclock[:5]
    notify_on = job.get("NOTIFY_ON")
    if isinstance(notify_on, str) and notify_on:
        notify_on = notify_on.split("," if "," in notify_on else None)
    if isinstance(notify_on, list):
        result["NOTIFY_ON"] = [str(status).strip().upper() for status in notify_on]
    return result


def _split_files(value: Any) -> list[str]:
    if isinstance(value, str):
        value = value.split("," if "," in value else " ")
    return [str(name).strip() for name in value] if isinstance(value, list) and value else [""]


def _normalise_dependencies(value: Any) -> Config:
    if isinstance(value, str):
        return {name: {} for name in value.upper().split(" ")}
    if not isinstance(value, dict):
        return {}
    return {
        name.upper(): _normalise_dependency(inner) if isinstance(inner, dict) else inner
        for name, inner in value.items()
    }


def _normalise_dependency(value: Config) -> Config:
    if not value.get("STATUS"):
        return value
    status = str(value["STATUS"]).upper()
    is_any = value.get("ANY_FINAL_STATUS_IS_VALID") or status.endswith("?") or status not in _FINAL_STATUSES
    return value | {"STATUS": status.removesuffix("?"), "ANY_FINAL_STATUS_IS_VALID": bool(is_any)}
