"""Files with secrets that others on the machine can read."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from dotenv import dotenv_values

from ..config import Settings, secret_fields
from ..setting_files import read_settings_file, reference_of

KEYS = ("ssh_bastion_key_path", "redshift_ssh_bastion_key_path")


def loose_files(settings: Settings, *, config_file: Path | None, dotenv: Path | None) -> Iterator[str]:
    """One sentence for each file that is too open.

    A settings file or ``.env`` with a secret in it must not be open to everybody (a group may be meant, as for a
    service); a private key to nobody else at all, as OpenSSH demands.
    """
    if dotenv is not None and dotenv.is_file():
        yield from _loose_settings(dotenv, {k.lower(): v for k, v in dotenv_values(dotenv).items()})
    if config_file is not None:
        yield from _loose_settings(config_file, read_settings_file(config_file))
    for name in KEYS:
        path = Path(getattr(settings, name)).expanduser()
        if getattr(settings, name) and path.is_file() and (mode := _mode(path)) & 0o077:
            yield f"{name.upper()}: {path} can be read by others (mode {mode:04o}): chmod 600 {path}"


def _loose_settings(path: Path, values: Mapping[str, object]) -> Iterator[str]:
    held = [n.upper() for n in sorted(secret_fields()) if values.get(n) and not reference_of(values[n])]
    mode = _mode(path)
    if held and mode & 0o007:
        yield f"{path} holds {', '.join(held)} and can be read by everybody (mode {mode:04o}): chmod 600 {path}"


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
