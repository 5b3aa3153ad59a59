"""What a settings file says, and which values are kept elsewhere."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from .errors import ConfigError

_REFERENCE = re.compile(r"(?:secretsmanager|ssm):\S.*")


def reference_of(value: object) -> str:
    """A value that names where the setting is kept (``secretsmanager:NAME#key``, ``ssm:NAME``), or an empty text."""
    return value if isinstance(value, str) and _REFERENCE.fullmatch(value) else ""


def resolve_all(
    references: Mapping[str, str], resolve: Callable[[str], str]
) -> tuple[dict[str, str], dict[str, ConfigError]]:
    """By the names of settings, what is behind their references, and why nothing could be found."""
    found: dict[str, str] = {}
    refused: dict[str, ConfigError] = {}
    for name, reference in references.items():
        try:
            found[name] = resolve(reference)
        except ConfigError as exc:
            refused[name] = exc
    return found, refused


def read_settings_file(path: Path) -> dict[str, object]:
    """The settings of a YAML or TOML file by field name.

    Raises:
        ConfigError: it cannot be read or understood.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"cannot read the settings file {path}: {exc}", hint="correct --config-file") from exc
    try:
        document = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{path} is not valid TOML: {exc}", hint="put quotes around texts") from exc
    except yaml.YAMLError as exc:  # its text quotes the line, which may hold a secret
        mark = getattr(exc, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(
            f"{path} is not valid YAML{where}", hint="put quotes around values that hold special characters"
        ) from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(
            f"{path} must hold settings by name, not a {type(document).__name__}",
            hint="e.g. `db: {host: mysql.internal}`",
        )
    return _flatten(document)


def _flatten(document: Mapping[Any, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in document.items():
        name = f"{prefix}{key}".lower()
        if isinstance(value, dict) and name != "tables":
            flat.update(_flatten(value, prefix=f"{name}_"))
        else:
            flat[name] = value
    return flat
