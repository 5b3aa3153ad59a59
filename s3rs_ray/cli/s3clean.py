"""``s3clean list|clean|clean-all|orphans``."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from ..config import Settings
from ..engine.cleaning import (
    Cleaned,
    Progress,
    choose_files,
    choose_of_each,
    clean_orphans,
    clean_table,
    find_orphans,
    stored_tables,
    table_files,
    total,
)
from ..engine.side_by_side import side_by_side
from ..engine.standing import Amount, Choice, Selection, parse_age
from ..engine.tasks import open_ledger, open_store
from ..errors import S3rsError
from ..ledger.store import utc_now
from ..model import TableName
from ..storage.s3 import S3Store
from ..wording import Size, counted
from .asking import confirm, confirm_by_name
from .deletion import deletion_exit_code, deletion_shown, tell_refused
from .output import Output, amount_json, amount_text, complain, standings_text
from .session import Session
from .tables import EXCLUDE_STORED, STORED_TABLE, STORED_TABLES, require_known, select_names

OLDER = click.option("--older-than", metavar="AGE", help="Only files written so long ago: 7d, 24h, 30m.")
PATTERN = click.option(
    "--pattern", default="", metavar="GLOB", help="Only files of such names: 'batch_*', '2026-01-*', or one whole name."
)
DRY_RUN = click.option("--dry-run", is_flag=True, help="Show what would be deleted; delete nothing.")
FORCE = click.option("--force", is_flag=True, help="Do not ask.")


@click.group("s3clean", epilog="\b\nExample:  s3rs-ray s3clean list -t settlement.settlement_claim_detail")
def group() -> None:
    """List and delete Parquet files.

    Only files that are loaded are deleted. One that is not must be asked for by its whole name.
    """


@group.command("list", epilog="\b\nExample:  s3rs-ray s3clean list -t 'settlement.*' --older-than 7d")
@STORED_TABLES
@EXCLUDE_STORED
@OLDER
@PATTERN
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    default=100,
    show_default=True,
    help="Files shown; JSON has all.",
)
@click.pass_obj
def list_command(
    session: Session,
    tables: tuple[str, ...],
    exclude: tuple[str, ...],
    older_than: str | None,
    pattern: str,
    limit: int,
) -> None:
    """List the files of tables: size, age, and whether they are loaded."""
    selection, settings = _selection(older_than, pattern), session.settings()
    store, ledger, now = _store(settings), open_ledger(settings), utc_now()
    names = select_names(stored_tables(store, settings), tables, exclude, settings)
    found_of = side_by_side(
        lambda name: [f for f in table_files(store, settings, ledger.load(name)) if selection.takes(f[0], now)], names
    )
    listed = dict(zip(names, found_of, strict=True))
    files = [(name, item, standing) for name, found in listed.items() for item, standing in found]
    if session.output.json:
        session.output.document(
            {
                "tables": {
                    str(name): {
                        **amount_json(Amount.of([o for o, _ in found])),
                        "objects": [
                            {"key": o.key, "bytes": o.size, "modified": o.modified, "standing": s.value}
                            for o, s in found
                        ],
                    }
                    for name, found in listed.items()
                },
                **amount_json(Amount.of([o for _, o, _ in files])),
            }
        )
        return
    rows = [(o.key, Size(o.size), f"{o.modified:%Y-%m-%d %H:%M:%S}", s.value) for _, o, s in files[:limit]]
    session.output.table("files", ("key", "size", "written (UTC)", "standing"), rows)
    if len(files) > limit:
        session.output.sentence(f"… and {len(files) - limit:,} more: --limit {len(files)} or -o json shows all")
    session.output.line(amount_text(Amount.of([o for _, o, _ in files])))


@group.command(
    "clean", epilog="\b\nExample:  s3rs-ray s3clean clean -t settlement.settlement_claim_detail --older-than 7d"
)
@STORED_TABLE
@OLDER
@PATTERN
@DRY_RUN
@FORCE
@click.pass_obj
def clean_command(
    session: Session, table: str, older_than: str | None, pattern: str, dry_run: bool, force: bool
) -> None:
    """Delete the loaded files of one table.

    A file that is not loaded is deleted only when --pattern is its whole name.
    """
    selection, settings = _selection(older_than, pattern), session.settings()
    name, store = settings.table_name(table), _store(settings)
    state = open_ledger(settings).load(name)
    choice = choose_files(store, settings, state, selection, utc_now())
    require_known(name, known=state.is_kept or bool(choice.present.files))
    if dry_run or not choice.doomed:
        _show(session.output, {name: choice}, {}, dry_run=dry_run)
        return
    _warn_of_unloaded(choice)
    confirm(f"delete {amount_text(Amount.of(choice.doomed))} of {name}?", force=force)
    with deletion_shown(session, len(choice.doomed)) as progress:
        done = clean_table(settings, name, selection, progress=progress)
    _show(session.output, {name: choice}, {name: done}, dry_run=False)
    sys.exit(1 if done.refused else 0)


@group.command("clean-all", epilog="\b\nExample:  s3rs-ray s3clean clean-all --older-than 30d --exclude 'audit.*'")
@EXCLUDE_STORED
@OLDER
@PATTERN
@DRY_RUN
@FORCE
@click.pass_obj
def clean_all_command(
    session: Session, exclude: tuple[str, ...], older_than: str | None, pattern: str, dry_run: bool, force: bool
) -> None:
    """Delete the loaded files of every table; asks twice."""
    selection, settings = _selection(older_than, pattern), session.settings()
    store = _store(settings)
    names = select_names(stored_tables(store, settings), (), exclude, settings)
    choices = choose_of_each(store, settings, open_ledger(settings), names, selection)
    doomed = total(Amount.of(c.doomed) for c in choices.values())
    if dry_run or not doomed.files:
        _show(session.output, choices, {}, dry_run=dry_run)
        return
    for choice in choices.values():
        _warn_of_unloaded(choice)
    busy = sum(bool(c.doomed) for c in choices.values())
    confirm(f"delete {amount_text(doomed)} of {counted(busy, 'table')}?", force=force)
    confirm_by_name(f"type the bucket's name, {store.bucket}, to delete them", store.bucket, force=force)
    with deletion_shown(session, doomed.files) as progress:
        cleaned, failures = _clean_each(settings, choices, selection, progress)
    _show(session.output, choices, cleaned, failures, dry_run=False)
    deleted = sum(c.deleted.files for c in cleaned.values())
    refused = [key for c in cleaned.values() for key in c.refused]
    sys.exit(deletion_exit_code(deleted, failures.values(), refused))


@group.command("orphans", epilog="\b\nExample:  s3rs-ray s3clean orphans -t settlement.settlement_claim_detail --clean")
@STORED_TABLE
@click.option("--clean", is_flag=True, help="Delete them.")
@FORCE
@click.pass_obj
def orphans_command(session: Session, table: str, clean: bool, force: bool) -> None:
    """List files that no run owns; with --clean, delete them."""
    settings = session.settings()
    name, store = settings.table_name(table), _store(settings)
    state = open_ledger(settings).load(name)
    found = find_orphans(store, settings, state)
    require_known(name, known=state.is_kept or any(True for _ in table_files(store, settings, state)))
    refused: Mapping[str, str] = {}
    if clean and found:
        confirm(f"delete {amount_text(Amount.of(found))} of {name}?", force=force)
        with deletion_shown(session, len(found)) as progress:
            found, refused = clean_orphans(settings, name, progress)
    tell_refused(refused)
    if session.output.json:
        objects = [{"key": o.key, "bytes": o.size, "modified": o.modified} for o in found]
        session.output.document({"table": str(name), "orphans": objects, "deleted": clean, "refused": dict(refused)})
    else:
        what = "deleted" if clean else "files no run owns"
        rows = [(o.key, Size(o.size), f"{o.modified:%Y-%m-%d %H:%M:%S}") for o in found]
        session.output.table(f"{name}: {what}", ("key", "size", "written (UTC)"), rows)
    sys.exit(1 if refused else 0)


def _clean_each(
    settings: Settings, choices: Mapping[TableName, Choice], selection: Selection, progress: Progress
) -> tuple[dict[TableName, Cleaned], dict[TableName, S3rsError]]:
    """One table after the other; one that a run holds does not keep the others."""
    cleaned: dict[TableName, Cleaned] = {}
    failures: dict[TableName, S3rsError] = {}
    before = 0
    for name, choice in choices.items():
        if choice.doomed:
            try:
                cleaned[name] = clean_table(settings, name, selection, progress=_behind(before, progress))
            except S3rsError as exc:
                failures[name] = exc
            before += len(choice.doomed)
    return cleaned, failures


def _behind(before: int, progress: Progress) -> Progress:
    """The progress of a table when so many objects of others are done with."""
    return lambda done: progress(before + done)


def _warn_of_unloaded(choice: Choice) -> None:
    for item in choice.unloaded:
        complain(f"{item.key} is not loaded: its rows are nowhere but at the source", word="warning")
    if choice.unloaded:
        complain(
            "where the table waits for it, `watermark reset` or `watermark set` before the next load, which would"
            " miss it",
            word="hint",
        )


def _show(
    output: Output,
    choices: Mapping[TableName, Choice],
    cleaned: Mapping[TableName, Cleaned],
    failures: Mapping[TableName, S3rsError] | None = None,
    *,
    dry_run: bool,
) -> None:
    """What was there, what went or would go, what is left, and why something was kept."""
    failures = failures or {}
    if output.json:
        output.document(
            {
                "dry_run": dry_run,
                "tables": {str(n): _choice_json(c, cleaned.get(n), failures.get(n)) for n, c in choices.items()},
            }
        )
    else:
        rows = [_choice_row(n, c, cleaned.get(n)) for n, c in choices.items()]
        gone = "would be deleted" if dry_run else "deleted"
        output.table("files", ("table", "before", gone, "after", "kept though selected"), rows)
    for exc in failures.values():
        complain(exc.message, exc.hint)
    tell_refused({key: why for done in cleaned.values() for key, why in done.refused.items()})


def _choice_row(name: TableName, choice: Choice, done: Cleaned | None) -> Sequence[object]:
    choice = done.choice if done else choice
    gone = done.deleted if done else Amount.of(choice.doomed)
    after = (
        done.after if done else Amount(files=choice.present.files - gone.files, bytes=choice.present.bytes - gone.bytes)
    )
    kept = standings_text(choice.kept)
    return str(name), amount_text(choice.present), amount_text(gone), amount_text(after), kept


def _choice_json(choice: Choice, done: Cleaned | None, failure: S3rsError | None) -> dict[str, Any]:
    choice = done.choice if done else choice
    return {
        "before": amount_json(choice.present),
        "selected": amount_json(Amount.of(choice.doomed)),
        "deleted": amount_json(done.deleted if done else Amount()),
        "after": amount_json(done.after if done else choice.present),
        "kept": {s.value: amount_json(a) for s, a in choice.kept.items()},
        "keys": [o.key for o in choice.doomed if done is None or o.key not in done.refused],
        "refused": dict(done.refused) if done else {},
        "error": failure.message if failure else None,
    }


def _selection(older_than: str | None, pattern: str) -> Selection:
    age: dt.timedelta | None = parse_age(older_than) if older_than else None
    return Selection(older_than=age, pattern=pattern)


def _store(settings: Settings) -> S3Store:
    store = open_store(settings)
    store.check()
    return store
