"""``--dry-run``: what would be done with each table, and under which contract each of its columns travels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..engine.plan import Action, TablePlan, key_notes
from ..engine.preview import Preview
from ..ledger.document import cursor_text
from ..model import Window
from ..policies import Deletes
from ..wording import counted, duration_text, size_text
from .output import Output, complain

ACTIONS = {Action.RUN: "run", Action.RESUME: "resume", Action.NOTHING: "nothing to do"}


def show_previews(output: Output, previews: Sequence[Preview]) -> None:
    """The plans and contracts on stdout, refusals with their remedies on stderr as well."""
    if output.json:
        output.document({"plans": [_preview_json(p) for p in previews]})
    else:
        for preview in previews:
            _show(output, preview)
    for preview in previews:
        if preview.refusal is not None:
            complain(preview.refusal.message, preview.refusal.hint)


def preview_exit_code(previews: Sequence[Preview]) -> int:
    """0 when every table can be moved · 3 when some cannot · the refusal's own when none can."""
    codes = [p.refusal.exit_code for p in previews if p.refusal is not None]
    if not codes:
        return 0
    if len(codes) < len(previews):
        return 3
    return codes[0] if len(set(codes)) == 1 else 1


def _show(output: Output, preview: Preview) -> None:
    plan = preview.plan
    output.sentence(f"{preview.table}: {ACTIONS[plan.action] if plan else 'refused'}")
    for reason in (*plan.reasons, *key_notes(plan.table)) if plan else ():
        output.sentence(f"  {reason}")
    if plan is not None and plan.window is not None:
        output.sentence(f"  window: {_shown(plan.window)}")
    if preview.size.chunks:
        output.sentence(f"  {_amount(preview)}")
    if preview.estimate is not None:
        minutes = preview.estimate.minutes
        took = "time unknown" if minutes is None else f"about {duration_text(60 * minutes)}"
        output.sentence(f"  {took}: {preview.estimate.known_from}")
    if preview.deletes is not None:
        done = "marked in _s3rs_deleted_at" if preview.deletes is Deletes.SOFT else "deleted"
        output.sentence(f"  after the load, rows that are gone from the source will be looked for and {done}")
    _show_target(output, preview)
    rows = [(c.name, c.source_type, c.redshift_type, c.treatment.value, c.note) for c in preview.columns]
    output.table("columns", ("column", "source", "redshift", "how", "note"), rows)
    for what, statement in preview.statements.items():
        output.line(f"-- {what}\n{statement};")


def _amount(preview: Preview) -> str:
    size = preview.size
    files = "1 chunk and file" if size.chunks == 1 else f"{size.chunks:,} chunks, each a file"
    most = counted(preview.plan.rows_per_chunk if preview.plan else 0, "row")
    return f"about {counted(size.rows, 'row')} in {files}, of at most about {most}; about {size_text(size.bytes)} on S3"


def _show_target(output: Output, preview: Preview) -> None:
    """Where the rows go, and what becomes of the target before."""
    foreseen = preview.foreseen
    if foreseen is None:
        return
    said = "it is not there and will be created:" if not foreseen.exists else "its columns fit"
    if foreseen.changes:
        said = "before the load, this run:"
    output.sentence(f"  target: {preview.target}, by {preview.mode}; {said}")
    for change in foreseen.changes:
        output.sentence(f"    {change}")
    for statement in foreseen.statements:
        output.line(f"    {statement}")


def _shown(window: Window) -> str:
    if window.whole:
        carry_on = f"; later runs carry on {_after(window.upto.position)}" if window.upto.position else ""
        return f"the whole table{carry_on}"
    return f"{_after(window.after.position)} up to {_place(window.upto.position)}"


def _after(position: tuple[object, ...]) -> str:
    return f"after {_place(position)}" if position else "from the beginning"


def _place(position: tuple[object, ...]) -> str:
    return f"({', '.join(map(str, position))})"


def _preview_json(preview: Preview) -> dict[str, Any]:
    return {
        "table": str(preview.table),
        "action": preview.plan.action.value if preview.plan else "refused",
        **(_plan_json(preview.plan) if preview.plan else {}),
        "columns": [
            {
                "name": c.name,
                "source": c.source_type,
                "redshift": c.redshift_type or None,
                "treatment": c.treatment.value,
                "note": c.note,
            }
            for c in preview.columns
        ],
        "chunks": preview.size.chunks,
        "estimated_bytes": preview.size.bytes,
        "target": None if preview.foreseen is None else _target_json(preview),
        "deletes": preview.deletes.value if preview.deletes else None,
        "statements": preview.statements,
        "estimate": preview.estimate
        and {"minutes": preview.estimate.minutes, "known_from": preview.estimate.known_from},
        "error": preview.refusal.message if preview.refusal else None,
        "hint": preview.refusal.hint if preview.refusal else None,
    }


def _target_json(preview: Preview) -> dict[str, Any]:
    assert preview.foreseen is not None
    return {
        "name": preview.target,
        "mode": preview.mode,
        "exists": preview.foreseen.exists,
        "changes": list(preview.foreseen.changes),
        "ddl": list(preview.foreseen.statements),
    }


def _plan_json(plan: TablePlan) -> dict[str, Any]:
    return {
        "reasons": (*plan.reasons, *key_notes(plan.table)),
        "window": None
        if plan.window is None or plan.action is Action.NOTHING
        else {
            "after": cursor_text(plan.window.after),
            "upto": cursor_text(plan.window.upto),
            "whole_table": plan.window.whole,
        },
        "rows_per_chunk": plan.rows_per_chunk,
        "estimated_rows": plan.estimated_rows,
    }
