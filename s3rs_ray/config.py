"""Settings: defaults < file < environment (with ``.env``) < flags, each value with its origin.

The only reader of ``os.environ`` in the package. Every setting has one name, the environment variable's
(``DB_HOST``); in a file it may also be written as a section (``db: {host: …}``) and in lower case.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from dotenv import dotenv_values
from pydantic import (
    PrivateAttr,
    SecretStr,
    ValidationError,
)

from .errors import ConfigError, UsageError
from .model import TableName
from .policies import (
    Deletes,
    Mode,
    Policy,
    RangeOrder,
)
from .setting_fields import SettingFields
from .setting_files import read_settings_file, reference_of, resolve_all
from .table_settings import TableSettings

DB_NAMES = ("DB_HOST", "DB_USER", "DB_PASSWORD")
S3_NAMES = ("S3_BUCKET_NAME",)
MASKED_FROM = 3
"""Characters: a kept value of so many or fewer is masked in a text only where it stands in quotes."""

TABLE_FLAGS = {"backup_mode": "mode", "backup_deletes": "deletes", "backup_max_delete_percent": "max_delete_percent"}
"""The settings that a flag may give, and what single tables call them."""


class Settings(SettingFields):
    """The effective settings. Build one with :meth:`load`; a field's name is the variable's in lower case."""

    _references: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def load(
        cls,
        *,
        config_file: Path | None = None,
        environment: Mapping[str, str] | None = None,
        flags: Mapping[str, object] | None = None,
        dotenv: Path | None = None,
        resolve: Callable[[str], str] | None = None,
    ) -> Settings:
        """The settings of all layers together.

        Args:
            config_file: YAML or TOML by its suffix; unknown keys in it are errors.
            environment: the variables; None reads this process's.
            flags: values from the command line, by field name; None values are not given.
            dotenv: a ``.env`` file below the environment; missing is fine.
            resolve: gives the value behind a reference (:func:`reference_of`), as
                :class:`~s3rs_ray.storage.references.References` does.

        Raises:
            ConfigError: naming every unknown key and every wrong value at once.
        """
        layered = layers(config_file=config_file, environment=environment, flags=flags, dotenv=dotenv)
        kept = references_in(layered)
        resolved, unresolved = resolve_all(kept, resolve or _nobody)
        said = [f"{name.upper()}: {exc.message}" for name, exc in unresolved.items()]
        values = {name: value for name, (value, _) in layered.items() if name not in unresolved}
        try:
            made = cls.of(values | resolved, kept)
        except ValidationError as exc:
            said += [explain_mistake(error, layered) for error in exc.errors(include_url=False, include_input=True)]
        if said:  # outside the block: the refusal of the library shows the values, secrets among them
            hints = {exc.hint: None for exc in unresolved.values()} if len(said) == len(unresolved) else {}
            told = "correct the named settings; `s3rs-ray config --validate` tells all that is wrong with them"
            raise ConfigError("\n".join(said), hint="; ".join(hints) or told)
        for field, own in TABLE_FLAGS.items():
            if layered.get(field, ("", ""))[1] == "flag":
                made = made._above_tables(own)
        return made

    @classmethod
    def of(cls, values: Mapping[str, object], references: Mapping[str, str]) -> Settings:
        """The settings of values by field name, which show references and not what is behind them.

        Blanks around a value that is kept elsewhere are dropped (files put into SSM end with a line feed), but those of
        a password or key are its own.

        Raises:
            ValidationError: of pydantic, for values that are wrong; its text shows them.
        """
        bare = {
            n: v.strip() for n, v in values.items() if n in references.keys() - secret_fields() and isinstance(v, str)
        }
        made = cls.model_validate({**values, **bare})
        made._references = dict(references)
        return made

    def without_kept(self, text: str) -> str:
        """A text for people, with references in place of the values behind them."""
        for name in self._references.keys() & self.model_fields_set:
            reference, value = self._references[name], str(_plain(getattr(self, name)))
            text = text.replace(repr(value), reference)
            if len(value) > MASKED_FROM:
                text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", reference.replace("\\", r"\\"), text)
        return text

    def _above_tables(self, name: str) -> Settings:
        """The settings without the tables' own values of one of them, as a flag stands above these."""
        tables = {pattern: table.model_copy(update={name: None}) for pattern, table in self.tables.items()}
        return self.model_copy(update={"tables": tables})

    def __hash__(self) -> int:
        return hash(repr(self))  # the field ``tables`` is a dictionary, which has no hash

    def table(self, name: TableName) -> TableSettings:
        """The settings of a table: those of every glob that matches it in the file's order, then its own entry's."""
        merged = TableSettings()
        for pattern, given in self.tables.items():
            wanted = TableName.parse(pattern, self.db_database)
            if wanted != name and fnmatchcase(name.schema, wanted.schema) and fnmatchcase(name.name, wanted.name):
                merged = merged.merged(given)
        return merged.merged(self.own_table(name))

    def table_name(self, text: str) -> TableName:
        """The table that was written as ``schema.table``, or as ``table`` in ``DB_DATABASE``.

        Raises:
            ConfigError: it names no schema and DB_DATABASE is not set.
            UsageError: a part of it is empty.
        """
        if text and "." not in text and not self.db_database:
            raise ConfigError(
                f"{text!r} names no schema, and DB_DATABASE is not set", hint="write schema.table, or set DB_DATABASE"
            )
        name = TableName.parse(text, self.db_database)
        if not name.schema or not name.name:
            raise UsageError(f"{text!r} is no name of a table", hint="write schema.table, or a glob: 'settlement.*'")
        return name

    def own_table(self, name: TableName) -> TableSettings:
        """The settings of the entry that names this very table."""
        own = [t for pattern, t in self.tables.items() if TableName.parse(pattern, self.db_database) == name]
        return own[0] if own else TableSettings()

    def mode(self, name: TableName) -> Mode:
        """How loaded rows of a table meet those already in its target."""
        return self.table(name).mode or self.backup_mode

    def cursor_column(self, name: TableName) -> str:
        """The column that grows on every insert and update of a table."""
        return self.table(name).cursor or self.backup_cursor_column

    def key_columns(self, name: TableName) -> tuple[str, ...]:
        """The key columns of a table as they were given; empty for its primary or first unique key."""
        given = self.table(name).key
        return self.backup_key_columns if given is None else given

    def target(self, name: TableName) -> tuple[str, str]:
        """Schema and name of the table in Redshift that a source table goes into."""
        table = self.table(name)
        return table.target_schema or self.redshift_schema, table.target or name.name

    def has_load_columns(self, name: TableName) -> bool:
        """Whether the target of a table has the columns of :data:`LOAD_COLUMNS`."""
        given = self.table(name).load_columns
        return self.backup_load_columns if given is None else given

    def deletes(self, name: TableName) -> Deletes:
        """What becomes of rows of a table that are gone from the source."""
        return self.table(name).deletes or self.backup_deletes

    def max_delete_percent(self, name: TableName) -> int:
        """Of how many percent of a table's rows at most it is believed that they are gone from the source."""
        given = self.table(name).max_delete_percent
        return self.backup_max_delete_percent if given is None else given

    @property
    def chunk_order(self) -> RangeOrder | None:
        """Which columns chunks shall be ranges of; None leaves it to the plan."""
        return RangeOrder(self.backup_chunk_order) if self.backup_chunk_order else None

    @property
    def policy(self) -> Policy:
        """The choice for values Redshift has no form for, where a table or column makes none."""
        return Policy(
            zero_dates=self.backup_zero_dates,
            long_text=self.backup_long_text,
            nul_bytes=self.backup_nul_bytes,
            geometry=self.backup_geometry,
            json_form=self.backup_json_form,
        )

    @property
    def redshift_names(self) -> tuple[str, ...]:
        """The variables without which nobody can log in to Redshift."""
        login: tuple[str, ...] = ("REDSHIFT_USER", "REDSHIFT_PASSWORD")
        if self.redshift_iam:
            login = () if self.redshift_workgroup else ("REDSHIFT_USER",)
        return ("REDSHIFT_HOST", *login, "REDSHIFT_DATABASE")

    def require(self, *names: str) -> None:
        """Raises ConfigError naming all of ``names`` (variables) that have no value."""
        missing = [name for name in names if not _plain(getattr(self, name.lower()))]
        if missing:
            raise ConfigError(
                f"missing settings: {', '.join(missing)}",
                hint="set them in the environment, in .env, or in the file given with --config-file",
            )

    def shown(self) -> dict[str, object]:
        """All settings by variable name, secrets masked; safe to print, log and store."""
        values: dict[str, object] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if name in self._references:
                value = self._references[name]
            elif isinstance(value, SecretStr):
                value = "********" if value.get_secret_value() else ""
            if name == "tables":
                value = {pattern: t.model_dump(mode="json", exclude_unset=True) for pattern, t in self.tables.items()}
            values[name.upper()] = value
        return values


def _plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def explain_mistake(error: Mapping[str, object], layered: Mapping[str, tuple[object, str]]) -> str:
    """One mistake that validation found, by variable, value and origin.

    A secret's value is left out, and so is one behind a reference: no message of pydantic or of a validator of
    :class:`Settings` quotes what it was given.
    """
    location = error["loc"]
    name = str(location[0]) if isinstance(location, tuple) and location else "?"
    field = Settings.model_fields.get(name)
    origin = layered.get(name, ("", "settings"))[1]
    inside = "".join(f"{part}: " for part in location[1:]) if isinstance(location, tuple) else ""
    reason = _reason(error)
    if error["type"] == "extra_forbidden":
        return f"{name.upper()} ({origin}): {inside}no such setting"
    if reference := reference_of(layered.get(name, ("", ""))[0]):
        return f"{name.upper()} = {reference} ({origin}): the value kept there is refused: {reason}"
    secret = field is not None and field.annotation is SecretStr
    given = layered[name][0] if inside == "" and name in layered else error["input"]
    value = "" if secret else f" = {given!r}"
    return f"{name.upper()}{value} ({origin}): {inside}{reason}"


def _reason(error: Mapping[str, object]) -> str:
    """What has to be given instead, as pydantic's kind of error tells it."""
    context = error.get("ctx")
    bounds = context if isinstance(context, dict) else {}
    match error["type"]:
        case "int_parsing" | "int_type" | "int_from_float":
            return "give a whole number"
        case "bool_parsing" | "bool_type":
            return "give true or false"
        case "literal_error" | "enum":
            return f"give {bounds['expected']}"
        case "greater_than_equal":
            return f"give {bounds['ge']} or more"
        case "less_than_equal":
            return f"give {bounds['le']} or less"
        case "string_type":
            return "give a text"
        case _:
            return str(error["msg"]).removeprefix("Value error, ")


def secret_fields() -> frozenset[str]:
    """The settings that are never shown."""
    return frozenset(name for name, field in Settings.model_fields.items() if field.annotation is SecretStr)


def references_in(layered: Mapping[str, tuple[object, str]]) -> dict[str, str]:
    """By field name, the references among settings; the section ``tables`` takes none."""
    found = {name: reference_of(value) for name, (value, _) in layered.items() if name in Settings.model_fields}
    return {name: text for name, text in found.items() if text}


def _nobody(reference: str) -> str:
    raise ConfigError(
        f"{reference} is a reference, and nothing here looks it up",
        hint="Settings.load(resolve=s3rs_ray.storage.references.References())",
    )


def layers(
    *,
    config_file: Path | None,
    environment: Mapping[str, str] | None,
    flags: Mapping[str, object] | None,
    dotenv: Path | None,
) -> dict[str, tuple[object, str]]:
    """Each given setting's value and origin (``file …``, ``.env``, ``environment``, ``flag``), the highest layer's.

    Empty variables count as not given, as a shell's ``DB_PORT=`` means.
    """
    result: dict[str, tuple[object, str]] = {}
    if config_file is not None:
        for name, value in read_settings_file(config_file).items():
            result[name] = (value, f"file {config_file}")
    named = {field.upper(): field for field in Settings.model_fields if field != "tables"}
    dotenv_layer = dotenv_values(dotenv) if dotenv is not None and dotenv.is_file() else {}
    variables = os.environ if environment is None else environment
    for origin, layer in ((".env", dotenv_layer), ("environment", variables)):
        for variable, field in named.items():
            if layer.get(variable):
                result[field] = (layer[variable], origin)
    for name, flag in (flags or {}).items():
        if flag is not None:
            result[name] = (flag, "flag")
    return result
