"""The effective settings with the origin of each, and every mistake in them at once.

Wrong values are set aside, so that the rest is still shown and checked for contradictions.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import combinations
from pathlib import Path

from dotenv import dotenv_values
from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from ..config import DB_NAMES, S3_NAMES, Settings, explain_mistake, layers, references_in
from ..errors import ConfigError
from ..model import TableName
from ..openssh import require_ssh
from ..setting_files import resolve_all
from ..storage.layout import MANIFEST_PREFIX, RUN_PREFIX, STATE_PREFIX
from ..table_settings import TableSettings
from ..view_settings import ViewSettings
from ..warehouse.login import login_mistakes
from ..warehouse.sql import role_sql

WHERE_TO_SET = "settings are read from the environment, .env and the file given with --config-file"
OWN_PREFIXES = ("DB_", "SSH_", "S3_", "REDSHIFT_", "BACKUP_")
"""Variables that begin so and are no settings are looked at for a slip of the pen."""
DEFAULT = "default"
KEYS_OF_TABLES = tuple(dict.fromkeys((*TableSettings.model_fields, *ViewSettings.model_fields)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """Something the settings get wrong, and what to do about it."""

    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """The settings as they hold, those that are wrong at their defaults.

    Attributes:
        origins: by field name, where a value comes from: ``default``, ``file …``, ``.env``, ``environment``, ``flag``.
        mistakes: wrong values and unknown names.
        invalid: the fields whose given value was set aside.
        warnings: variables that look like settings and are none.
    """

    settings: Settings
    origins: Mapping[str, str]
    mistakes: tuple[Mistake, ...] = ()
    invalid: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()


def read_effective(
    *,
    config_file: Path | None,
    dotenv: Path | None,
    flags: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    resolve: Callable[[str], str] | None = None,
) -> Effective:
    """The settings of all layers together, as far as they are right; never raises for what is in them.

    Args:
        environment: the variables; None reads this process's.
        resolve: gives the value behind a reference; None leaves those settings at their defaults, and shows the
            references all the same.
    """
    mistakes: list[Mistake] = []
    try:
        given = layers(config_file=config_file, environment=environment, flags=flags, dotenv=dotenv)
    except ConfigError as exc:  # a file that cannot be read or understood: the other layers still count
        mistakes.append(Mistake(message=exc.message, hint=exc.hint))
        given = layers(config_file=None, environment=environment, flags=flags, dotenv=dotenv)
    kept = references_in(given)
    valid: dict[str, object] = {name: value for name, (value, _) in given.items() if name not in kept}
    if resolve is not None:
        found, refused = resolve_all(kept, resolve)
        mistakes += [
            Mistake(message=f"{n.upper()} ({given[n][1]}): {e.message}", hint=e.hint) for n, e in refused.items()
        ]
        valid |= found
    while True:
        try:
            settings = Settings.of(valid, kept)
            break
        except ValidationError as exc:
            errors = exc.errors(include_url=False, include_input=True)
        mistakes += [Mistake(message=explain_mistake(error, given), hint=_remedy(error)) for error in errors]
        for error in errors:
            valid.pop(str(error["loc"][0]), None)
    origins = {n: given[n][1] if n in valid or n in kept else DEFAULT for n in Settings.model_fields}
    return Effective(
        settings=settings,
        origins=origins,
        mistakes=tuple(mistakes),
        invalid=frozenset(given) - frozenset(valid),
        warnings=tuple(_slips(environment, dotenv)),
    )


def _remedy(error: ErrorDetails) -> str:
    """What to write instead, or the setting that may have been meant by an unknown name."""
    name = str(error["loc"][0])
    if name == "tables":
        near = get_close_matches(str(error["loc"][-1]), KEYS_OF_TABLES, n=1, cutoff=0.7)
        if error["type"] == "extra_forbidden" and near:
            return f"did you mean {near[0]}?"
        return 'the README\'s "Settings of single tables" has every key and its values'
    if name in Settings.model_fields:
        text = error["type"] == "string_type" and isinstance(error["input"], (int, float))
        return "put quotes around it" if text else f"{name.upper()}: {Settings.model_fields[name].description}"
    near = get_close_matches(name, Settings.model_fields, n=1, cutoff=0.7)
    return f"did you mean {near[0].upper()}?" if near else "the README lists every setting"


def _slips(environment: Mapping[str, str] | None, dotenv: Path | None) -> Iterator[str]:
    known = {name.upper() for name in Settings.model_fields}
    found = dotenv_values(dotenv) if dotenv is not None and dotenv.is_file() else {}
    for origin, names in ((".env", found), ("environment", os.environ if environment is None else environment)):
        for name in sorted(names):
            near = get_close_matches(name, known, n=1, cutoff=0.85)
            if name not in known and name.startswith(OWN_PREFIXES) and near:
                yield f"{name} ({origin}) is no setting; did you mean {near[0]}?"


def find_mistakes(found: Effective, *, extract: bool = True, load: bool = True) -> tuple[Mistake, ...]:
    """Every mistake: wrong values, unknown names, settings that contradict each other, and what is missing.

    Args:
        extract, load: the stages whose settings must be there; S3's must be in any case.
    """
    settings, checks = found.settings, (_missing, _pairs, _tunnels, _files, _keys, _tables)
    more = [mistake for check in checks for mistake in check(settings, extract, load)]
    wrong = {name.upper() for name in found.invalid}
    told = [replace(m, message=settings.without_kept(m.message)) for m in more if not wrong & set(_words(m.message))]
    return (*found.mistakes, *told)


def _words(text: str) -> list[str]:
    return [word.strip(",:;.()'") for word in text.split()]


def _missing(settings: Settings, extract: bool, load: bool) -> Iterator[Mistake]:
    stages: dict[str, tuple[str, ...]] = {"extracting": DB_NAMES if extract else (), "every stage": S3_NAMES}
    stages["loading"] = settings.redshift_names if load else ()
    for stage, names in stages.items():
        for name in names:
            value = getattr(settings, name.lower())
            if not (value.get_secret_value() if isinstance(value, SecretStr) else value):
                yield Mistake(message=f"{name} is missing: {stage} needs it", hint=WHERE_TO_SET)


def _pairs(settings: Settings, extract: bool, load: bool) -> Iterator[Mistake]:
    secret, token = (s.get_secret_value() for s in (settings.s3_secret_key, settings.s3_session_token))
    if bool(settings.s3_access_key) != bool(secret):
        yield Mistake(
            message="one of S3_ACCESS_KEY and S3_SECRET_KEY is set without the other",
            hint="set both, or neither for the AWS default credential chain",
        )
    elif token and not secret:
        yield Mistake(
            message="S3_SESSION_TOKEN is set without S3_ACCESS_KEY", hint="temporary credentials are all three"
        )
    if load:
        yield from _told(lambda: role_sql(settings.redshift_iam_role) if settings.redshift_iam_role else None)
        yield from (Mistake(message=exc.message, hint=exc.hint) for exc in login_mistakes(settings))
        names = ("redshift_cluster_identifier", "redshift_workgroup", "redshift_db_groups", "redshift_auto_create")
        unused = [name.upper() for name in (*names, "redshift_profile") if getattr(settings, name)]
        if unused and not settings.redshift_iam:
            yield Mistake(
                message=f"{', '.join(unused)} have no effect without REDSHIFT_IAM", hint="set REDSHIFT_IAM=true"
            )
    if settings.backup_batch_size and settings.backup_num_chunks:
        yield Mistake(message="BACKUP_BATCH_SIZE and BACKUP_NUM_CHUNKS both say how large a chunk is", hint="give one")
    if settings.s3_endpoint_url and not settings.s3_endpoint_url.startswith(("http://", "https://")):
        yield Mistake(
            message=f"S3_ENDPOINT_URL = {settings.s3_endpoint_url!r} is no URL", hint="e.g. http://minio:9000"
        )
    if settings.db_ssl_ca and settings.db_ssl_mode in {"disabled", "preferred", "required"}:
        yield Mistake(
            message=f"DB_SSL_CA is not looked at with DB_SSL_MODE = {settings.db_ssl_mode!r}",
            hint="take verify_ca or verify_identity",
        )


def _told(check: Callable[[], object]) -> Iterator[Mistake]:
    try:
        check()
    except ConfigError as exc:
        yield Mistake(message=exc.message, hint=exc.hint)


def _tunnels(settings: Settings, extract: bool, load: bool) -> Iterator[Mistake]:
    for prefix, asked in (("SSH", extract), ("REDSHIFT_SSH", load)):
        names = [f"{prefix}_BASTION_HOST", f"{prefix}_BASTION_USER", f"{prefix}_BASTION_KEY_PATH"]
        host, user, key = (getattr(settings, name.lower()) for name in names)
        if asked and host and not user:
            yield Mistake(message=f"{names[1]} is missing: {names[0]} is set", hint="name the user to log in as")
        if not host and (user or key):
            given = names[1] if user else names[2]
            yield Mistake(message=f"{given} has no effect without {names[0]}", hint=f"set {names[0]}, or leave it out")
    passed = ((extract, settings.ssh_bastion_host), (load, settings.redshift_ssh_bastion_host))
    if settings.ssh_tunnel_client == "system" and any(asked and host for asked, host in passed):
        yield from _told(require_ssh)


def _files(settings: Settings, extract: bool, load: bool) -> Iterator[Mistake]:
    for name in ("ssh_bastion_key_path", "redshift_ssh_bastion_key_path", "db_ssl_ca"):
        path = getattr(settings, name)
        if path and not Path(path).expanduser().is_file():
            yield Mistake(message=f"{name.upper()} = {path!r}: there is no such file", hint="correct the path")
    folder = Path(settings.metrics_file).expanduser().parent
    if settings.metrics_file and not folder.is_dir():
        message = f"METRICS_FILE = {settings.metrics_file!r}: there is no folder {folder}"
        yield Mistake(message=message, hint="make the folder, or name a file in another one")
    if settings.metrics_file and not settings.metrics_file.endswith(".prom"):
        message = f"METRICS_FILE = {settings.metrics_file!r}: node_exporter reads *.prom alone"
        yield Mistake(message=message, hint="give it a name that ends so")


def _keys(settings: Settings, extract: bool, load: bool) -> Iterator[Mistake]:
    path, old = settings.s3_incremental_path, settings.s3_high_watermark_key
    for own in (STATE_PREFIX.partition("/")[0] + "/", MANIFEST_PREFIX, RUN_PREFIX):
        if path.startswith(own) or own.startswith(path):
            yield Mistake(message=f"S3_INCREMENTAL_PATH = {path!r} is the place of other objects", hint="take another")
    if old.startswith((path, STATE_PREFIX, MANIFEST_PREFIX, RUN_PREFIX)):
        yield Mistake(message=f"S3_HIGH_WATERMARK_KEY = {old!r} lies among other objects", hint="take another key")


def _tables(settings: Settings, extract: bool, load: bool) -> Iterator[Mistake]:
    for pattern, table in settings.tables.items():
        where = f"TABLES: {pattern}"
        if "." not in pattern and not settings.db_database:
            yield Mistake(message=f"{where}: names no schema, and DB_DATABASE is not set", hint="write schema.table")
        both = sorted({n.lower() for n in table.include} & {n.lower() for n in table.exclude})
        if both:
            yield Mistake(message=f"{where}: {', '.join(both)} is both in include and in exclude", hint="leave one out")
        needed = [n for n in (table.cursor, table.distkey, *(table.key or ()), *table.sortkeys) if n]
        left_out = [n for n in dict.fromkeys(needed) if not table.carries(n) and n.lower() not in both]
        if left_out:
            yield Mistake(
                message=f"{where}: {', '.join(left_out)} is not carried, and is its cursor, key, distkey or sortkey",
                hint="take it out of exclude, or into include",
            )
    yield from _shared_targets(settings)


def _shared_targets(settings: Settings) -> Iterator[Mistake]:
    exact = [TableName.parse(p, settings.db_database) for p in settings.tables if not set(p) & set("*?[")]
    for one, other in combinations(exact, 2):
        ends = [tuple(part.lower() for part in settings.target(name)) for name in (one, other)]
        if ends[0] == ends[1]:
            yield Mistake(
                message=f"TABLES: {one} and {other} both go into {'.'.join(ends[0])}",
                hint="give one of them another `target` or `target_schema`",
            )
