"""``clean``: what is older than the retention."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any

import click

from ..engine.retention import Expired, delete_expired, find_expired
from ..engine.standing import Amount
from ..engine.tasks import open_store
from ..wording import counted
from .deletion import deletion_exit_code, deletion_shown, tell_refused
from .output import amount_json, amount_text, complain, standings_text
from .session import Session


@click.command("clean", epilog="\b\nExample:  s3rs-ray clean --days 90 --confirm")
@click.option("--bucket", help="Another bucket than S3_BUCKET_NAME.")
@click.option("--prefix", help="Only keys that begin so. Without it: all that this program writes and needs no more.")
@click.option(
    "--days", type=click.IntRange(min=1), metavar="N", help="Keep what is younger. Without it: BACKUP_RETENTION_DAYS."
)
@click.option("--confirm", "confirmed", is_flag=True, help="Delete. Without it, only show what would be deleted.")
@click.pass_obj
def command(session: Session, bucket: str | None, prefix: str | None, days: int | None, confirmed: bool) -> None:
    """Delete old files that are loaded, and what old runs left.

    That is manifests, records, markers, reports. States are never deleted, nor files that wait, that an open run owns
    or that nobody knows of; nor the records of runs that have files still, nor the newest marker and report of a
    table. Objects of other programs are deleted only under a --prefix of theirs.
    """
    settings = session.settings(s3_bucket_name=bucket, backup_retention_days=days)
    open_store(settings).check()
    age = dt.timedelta(days=settings.backup_retention_days)
    found = find_expired(settings, prefix or "", age)
    if confirmed:
        with deletion_shown(session, found.doomed.files) as progress:
            found = delete_expired(settings, found, progress=progress)
    title = f"s3://{settings.s3_bucket_name}/{prefix or ''} older than {counted(settings.backup_retention_days, 'day')}"
    if session.output.json:
        session.output.document(
            _json(found, settings.s3_bucket_name, prefix, settings.backup_retention_days, confirmed)
        )
    else:
        rows = [
            (str(t.table), amount_text(Amount.of(t.choice.doomed)), len(t.manifests), len(t.history.doomed),
             standings_text(t.choice.kept))
            for t in found.tables
        ]  # fmt: skip
        if found.others:
            rows.append(("of no table", amount_text(Amount.of(found.others)), 0, 0, ""))
        if found.reports:
            rows.append(("reports of commands", amount_text(Amount()), 0, len(found.reports), ""))
        if rows:
            session.output.table(title, ("table", "files", "manifests", "of runs", "kept"), rows)
        what = (
            f"deleted {amount_text(found.deletion.deleted)}"
            if confirmed
            else f"would delete {amount_text(found.doomed)}: add --confirm"
        )
        session.output.sentence(what if found.doomed.files else f"nothing to delete in {title}")
    failures = [exc for _, exc in found.failures]
    for exc in failures:
        complain(exc.message, exc.hint)
    tell_refused(found.deletion.refused)
    sys.exit(deletion_exit_code(found.deletion.deleted.files, failures, found.deletion.refused))


def _json(found: Expired, bucket: str, prefix: str | None, days: int, confirmed: bool) -> dict[str, Any]:
    errors = {table: exc.message for table, exc in found.failures}
    return {
        "bucket": bucket,
        "prefix": prefix or "",
        "days": days,
        "dry_run": not confirmed,
        "selected": amount_json(found.doomed),
        "deleted": amount_json(found.deletion.deleted),
        "tables": {
            str(t.table): {
                "files": amount_json(Amount.of(t.choice.doomed)),
                "manifests": amount_json(Amount.of(t.manifests)),
                "history": amount_json(Amount.of(t.history.doomed)),
                "kept": {s.value: amount_json(a) for s, a in t.choice.kept.items()},
                "error": errors.get(t.table),
            }
            for t in found.tables
        },
        "reports": amount_json(Amount.of(found.reports)),
        "refused": dict(found.deletion.refused),
        "others": amount_json(Amount.of(found.others)),
    }
