"""``s3clean orphans``."""

from __future__ import annotations

import sys

import click

from ..engine.orphans import clean_orphans, find_orphans
from ..engine.tasks import open_ledger, open_store
from ..errors import UsageError
from ..model import TableName
from .session import Session


@click.group("s3clean", epilog="Example:  s3rs-ray s3clean orphans -t settlement.settlement_claim_detail")
def group() -> None:
    """List and delete Parquet files, never one that is still needed."""


@group.command("orphans", epilog="Example:  s3rs-ray s3clean orphans -t settlement.settlement_claim_detail --clean")
@click.option("-t", "--table", required=True, metavar="TABLE", help="schema.table.")
@click.option("--clean", is_flag=True, help="Delete them.")
@click.option("--force", is_flag=True, help="Do not ask.")
@click.pass_obj
def orphans_command(session: Session, table: str, clean: bool, force: bool) -> None:
    """List files that no run owns; with --clean, delete them."""
    settings = session.settings()
    store = open_store(settings)
    store.check()
    if "." not in table:
        settings.require("DB_DATABASE")
    name = TableName.parse(table, settings.db_database)
    found = find_orphans(store, settings, open_ledger(settings).load(name))
    if clean and found:
        _confirm(len(found), sum(o.size for o in found), force=force)
        found = clean_orphans(settings, name)
    if session.output.json:
        objects = [{"key": o.key, "bytes": o.size, "modified": o.modified} for o in found]
        session.output.document({"table": str(name), "orphans": objects, "deleted": clean})
        return
    what = "deleted" if clean else "files no run owns"
    session.output.table(f"{name}: {what}", ("key", "bytes", "modified"), [(o.key, o.size, o.modified) for o in found])


def _confirm(count: int, size: int, *, force: bool) -> None:
    if force:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{count} files would be deleted and nobody can be asked", hint="add --force")
    click.confirm(f"delete {count} files ({size / 1e6:,.1f} MB)?", abort=True)
