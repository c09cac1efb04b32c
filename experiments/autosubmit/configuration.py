"""The configuration of an experiment as its files say it now.

Autosubmit 3 keeps five files in the style of INI (`conf/*_<expid>.conf`). Autosubmit 4 keeps YAML: all of `conf/`, by
name, and the files and folders that `DEFAULT.CUSTOM_CONFIG` names; merging.py has its rules. Only files inside the
folder of the experiment are read: they are shown to people who may not read others with the account of the portal.
"""

import configparser
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autosubmit_portal.sentences import say
from experiments.autosubmit import merging
from experiments.autosubmit.confined import TooLong, read_inside, resolve_inside
from experiments.autosubmit.merging import Config, TooMuch
from experiments.autosubmit.plain_data import MAX_VALUES, BadData, count_values, parse_yaml
from jobs.autosubmit.logs.safe_open import LeadsOutside

MAX_FILE_BYTES = 1024 * 1024
MAX_BYTES = 2 * MAX_FILE_BYTES
MAX_FILES = 200
MAX_WORK = 2_000_000
"""Values that are gone through, since each file is merged with all that was before it."""

INI_FILES = {"conf": "autosubmit", "exp": "expdef", "platforms": "platforms", "jobs": "jobs", "proj": "proj"}
"""The parts of a configuration of Autosubmit 3, and the beginnings of the names of their files."""

_CALCULATED = ("HPCROOTDIR", "HPCLOGDIR", "HPCARCH")
_SUFFIXES = (".yml", ".yaml")


class BadConfiguration(Exception):
    """The files make no configuration; the text says which one is wrong, and how."""


class NoConfiguration(Exception):
    """An experiment has no files of configuration; the text says so."""


@dataclass(slots=True)
class Configuration:
    """What the files say, those that were read (by their path in the experiment), and those that were left out."""

    values: Config
    files: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def read_configuration(folder: Path, installation: Config, description: str = "") -> Configuration:
    """Return the configuration of the experiment in `folder`, which is named after it.

    `installation` is what its Autosubmit adds (installation.py), `description` what its database says of it. Raises
    NoConfiguration, and BadConfiguration naming the file that is broken, or too large.
    """
    files = _Files(folder)
    try:
        if (folder / "conf" / f"expdef_{folder.name}.conf").exists():
            return _read_ini(files)
        return _Resolver(files, installation, description).resolve()
    except (OSError, LeadsOutside, TooMuch) as error:
        raise BadConfiguration(
            say("The configuration of {folder} cannot be read: {error}.", folder=folder.name, error=error)
        ) from error


class _Files:
    """The files of one experiment, each read at most once, all together of a bounded size."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder.resolve()
        self.read: dict[Path, Config] = {}
        self._bytes = 0

    def load(self, path: Path, parse: Callable[[str], Config]) -> Config:
        """Return what a file says; raise BadConfiguration naming it."""
        real = resolve_inside(self.root, path)
        name = real.relative_to(self.root)
        if real not in self.read:
            try:
                if len(self.read) == MAX_FILES:
                    raise TooLong(say("more than {most} files are named", most=MAX_FILES))
                content = read_inside(self.root, name, MAX_FILE_BYTES)
                self._bytes += len(content)
                if self._bytes > MAX_BYTES:
                    raise TooLong(say("the files are longer than {most} bytes together", most=f"{MAX_BYTES:,}"))
                self.read[real] = parse(_decode(content))
            except (BadData, TooLong) as error:
                raise BadConfiguration(say("{name} cannot be read: {error}.", name=name, error=error)) from error
            except OSError as error:
                raise BadConfiguration(
                    say("{name} cannot be read: {error}.", name=name, error=error.strerror)
                ) from error
        return self.read[real]

    def list_names(self) -> list[str]:
        """Return which files were read, in that order."""
        return [str(path.relative_to(self.root)) for path in self.read]


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        raise BadData(say("line {line}, byte {column}: it is not UTF-8", line=line, column=column)) from error


def _read_ini(files: _Files) -> Configuration:
    expid = files.folder.name
    values: Config = {}
    for part, beginning in INI_FILES.items():
        path = Path("conf", f"{beginning}_{expid}.conf")
        values[part] = files.load(path, _parse_sections) if (files.folder / path).exists() else None
    if count_values(values) > MAX_VALUES:
        raise TooMuch(say("it holds more than {most} values", most=f"{MAX_VALUES:,}"))
    return Configuration(values, files.list_names())


def _parse_sections(text: str) -> Config:
    # As written: a `%` is no reference here, a name is no other in lower case, and a repetition no error.
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    try:
        parser.read_string(text)
    except configparser.MissingSectionHeaderError as error:
        raise BadData(say("line {line}: it stands in no section", line=error.lineno)) from error
    except configparser.ParsingError as error:
        raise BadData(say("line {line}: it is no `name = value`", line=error.errors[0][0])) from error
    return {section: dict(parser.items(section)) for section in parser.sections()}


class _Resolver:
    """Reads the YAML of one experiment in the order of Autosubmit 4."""

    def __init__(self, files: _Files, installation: Config, description: str) -> None:
        self.files = files
        self.expid = files.folder.name
        self.installation = installation
        self.starter: Config = {}
        self.description = description
        self.included: set[Path] = set()
        self.left_out: list[str] = []
        self.work = 0

    def resolve(self) -> Configuration:
        """Return all files as one configuration."""
        own = self._list_folder(Path("conf"))
        if not own:
            raise NoConfiguration(
                say(
                    "{expid} has no files of configuration in {folder}.",
                    expid=self.expid,
                    folder=self.files.folder / "conf",
                )
            )
        starter = self._add_folders(self._load_all(own))
        self.starter = merging.merge(starter, {"DEFAULT": {"DESCRIPTION": self.description}})
        before, after = _read_directive(self.starter)
        values = self._pin_expid(self._include({}, before))
        plain = [path for path in own if not path.name.endswith(("minimal.yml", "minimal.yaml"))]
        values = self._unify(values, self._add_folders(self._load_all(plain)))
        values = self._pin_expid(self._include(values, after))
        values = self._finish(merging.complete(values, self.starter))
        return Configuration(values, self.files.list_names(), self.left_out)

    def _load_all(self, paths: Iterable[Path]) -> Config:
        values: Config = {}
        for path in paths:
            values = self._put_over(values, path)
        return values

    def _unify(self, older: Config, newer: Config) -> Config:
        made = merging.unify(older, newer)
        self.work += count_values(made)
        if self.work > MAX_WORK:
            raise TooMuch(say("the files are too many for their size"))
        return made

    def _put_over(self, values: Config, path: Path) -> Config:
        """Return `values` with those of a file over them."""
        try:
            return self._unify(values, self._load(path))
        except TooMuch as error:
            raise BadConfiguration(
                say("{file} cannot be used: {error}.", file=path.relative_to(self.files.root), error=error)
            ) from error

    def _load(self, path: Path) -> Config:
        values = merging.normalise(self.files.load(path, parse_yaml))
        if values.get("AS_MISC"):  # what the last command was, no configuration
            return {}
        return self._pin_expid({key: value for key, value in values.items() if key not in _CALCULATED})

    def _pin_expid(self, values: Config) -> Config:
        """Return `values` with the expid that the files in `conf/` say."""
        expid = _get_section(self.starter, "DEFAULT").get("EXPID")
        return merging.merge(values, {"DEFAULT": {"EXPID": expid}}) if expid else values

    def _add_folders(self, values: Config) -> Config:
        root = self.files.folder
        destination = _get_section(values, "PROJECT").get("PROJECT_DESTINATION", "project_files")
        return values | {"ROOTDIR": str(root), "PROJDIR": f"{root}/proj/{destination or ''}"}

    def _include(self, values: Config, names: Iterable[str]) -> Config:
        """Return `values` with those of the named files and folders, each over the ones before."""
        for name in names:
            if len(self.left_out) > MAX_FILES:
                raise TooMuch(say("more than {most} files are named that are not read", most=MAX_FILES))
            for path in self._find_files(values, name):
                if path not in self.included:
                    self.included.add(path)
                    values = self._include_nested(self._put_over(values, path))
        return values

    def _include_nested(self, values: Config) -> Config:
        """Return `values` with the files that the last one names in its turn, under and over them."""
        before, after = _read_directive(values)
        if "CUSTOM_CONFIG" not in _get_section(values, "DEFAULT"):
            return values
        default = {key: value for key, value in values["DEFAULT"].items() if key != "CUSTOM_CONFIG"}
        values = values | {"DEFAULT": default}
        values = self._unify(self._include(values, before), values)
        return self._include(values, after)

    def _find_files(self, values: Config, name: str) -> list[Path]:
        """Return the files that a name stands for; note why if there are none."""
        context = self._unify(self.starter, values) | {"AS_TEMP": name.strip(", ")}
        meant = str(merging.substitute(context)["AS_TEMP"])
        try:
            if meant.startswith("~"):
                raise LeadsOutside(meant)
            path = resolve_inside(self.files.root, Path(meant))
            return self._list_folder(path) if path.is_dir() else [path]
        except LeadsOutside:
            self.left_out.append(say("{meant} is outside of the folder of {expid}", meant=meant, expid=self.expid))
        except OSError:
            self.left_out.append(say("{meant} is not found", meant=meant))
        return []

    def _list_folder(self, folder: Path) -> list[Path]:
        """Return the YAML files of a folder, ordered as Autosubmit does; note those that lead out."""
        found = []
        for path in (self.files.root / folder).glob("*"):
            if path.suffix in _SUFFIXES:
                try:
                    found.append(resolve_inside(self.files.root, path))
                except LeadsOutside:
                    self.left_out.append(
                        say("{file} is a link out of the folder", file=path.relative_to(self.files.root))
                    )
        return sorted(found)

    def _finish(self, values: Config) -> Config:
        root = self.files.folder
        values = values | {"ROOTDIR": str(root), "PROJDIR": str(root / "proj" / _get_destination(values))}
        values = merging.normalise(values | self.installation, is_whole=True)
        values = {"AUTOSUBMIT": {}} | merging.substitute(values, is_last=True)
        return merging.substitute(values | self._describe_platform(values))

    def _describe_platform(self, values: Config) -> Config:
        """Return what jobs know of the main platform."""
        name = str(_get_section(values, "DEFAULT").get("HPCARCH", "LOCAL"))
        platform = _get_section(_get_section(values, "PLATFORMS"), name)
        made: Config = {f"HPC{key}": value for key, value in platform.items()} | {"HPCARCH": name}
        project = platform.get("SCRATCH_PROJECT_DIR", platform.get("PROJECT"))
        parts = [platform.get("SCRATCH_DIR"), project, platform.get("USER")]
        if all(parts):
            root = Path(*map(str, parts)) / self.expid
        elif name == "LOCAL":
            root = self.files.folder / "tmp"
        else:
            return made
        return made | {"HPCROOTDIR": str(root), "HPCLOGDIR": str(root / f"LOG_{self.expid}")}


def _get_section(values: Config, name: str) -> Config:
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def _read_directive(values: Config) -> tuple[list[str], list[str]]:
    """Return which files `DEFAULT.CUSTOM_CONFIG` wants under the configuration, and which over it."""
    wanted = _get_section(values, "DEFAULT").get("CUSTOM_CONFIG")
    if not isinstance(wanted, dict):
        wanted = {"PRE": wanted}
    return _split_names(wanted.get("PRE")), _split_names(wanted.get("POST"))


def _split_names(value: Any) -> list[str]:
    """Return the names in a text. Autosubmit passes over a plain list, and makes a text of one in `PRE` or `POST`."""
    names = value.split("," if "," in value else " ") if isinstance(value, str) else []
    return [name for name in names if name]


def _get_destination(values: Config) -> str:
    """Return the folder of the project in `proj/`; named after where the project comes from, if nothing else."""
    project = _get_section(values, "PROJECT")
    destination = str(project.get("PROJECT_DESTINATION", "project_files") or "")
    origins = {"local": ("LOCAL", "PROJECT_PATH"), "svn": ("SVN", "PROJECT_URL"), "git": ("GIT", "PROJECT_ORIGIN")}
    section, key = origins.get(str(project.get("PROJECT_TYPE", "")).lower(), ("", ""))
    if destination or not section:
        return destination
    name = str(_get_section(values, section).get(key) or "").rpartition("/")[2]
    return name.split(".")[-2] if section == "GIT" and "." in name else name
