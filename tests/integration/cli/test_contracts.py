"""The documents that scripts read: the whole of each, with its types and nesting, as a golden file.

Times, ids, sizes and prose are put in the place of their values; names of fields, counts of rows and states stay. A
field that is renamed, lost or of another type turns a test red. ``S3RS_UPDATE_GOLDEN=1`` writes the files anew.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from s3rs_ray.cli.app import cli
from s3rs_ray.config import Settings
from tests.support.golden import assert_golden
from tests.support.own_stack import settings, stack
from tests.test_docs import commands

if TYPE_CHECKING:
    from s3rs_ray.local.settlement import Connection

    from ..conftest import World
    from .conftest import Command, Outcome

__all__ = ["settings", "stack"]

GOLDEN = Path(__file__).parent / "golden"
SCHEMA = "shop"
"""Fixed, because the documents are: the stack is this module's own."""

WITHOUT_DOCUMENT = {"completion", "demo", "local up"}
"""Commands that print a script, or hold a stack."""
PATTERNS = (
    (re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}"), "<run>"),
    (re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d"), "<run time>"),
    (re.compile(r"year=\d+/month=\d+/day=\d+/hour=\d+"), "<partition>"),
    (re.compile(r"20(?!26-01-01)\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?"), "<time>"),
    (re.compile(r"^20(?!26-01-01)\d\d-\d\d-\d\d$"), "<day>"),
    (re.compile(r"\b[0-9a-f]{12,64}\b"), "<digest>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "<address>"),
    (re.compile(r"\d+\.\d+\.\d+-MariaDB\S*"), "<version>"),
)
PROSE = {"what", "when", "message", "hint", "note", "reasons", "detail", "holds", "known_from", "reason", "version"}
"""Fields for people: their words may change, their names and types may not."""
SIZES = re.compile(r"bytes|size|largest|smallest")
MEASURED = {"quiet_days", "row_groups", "rows_per_chunk", "estimated_rows"}


def normalised(value: Any, name: str = "") -> Any:
    """A document without what differs from run to run; every value keeps its type, None stays None."""
    if name.endswith("/"):  # a folder of the bucket: how many objects a run writes is no contract
        return {key: 1 if isinstance(each, int) else normalised(each, key) for key, each in value.items()}
    if isinstance(value, dict):
        return {normalised(key): normalised(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [normalised(each, name) for each in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float):
        return 0.5
    if isinstance(value, int):
        return 1 if value and (SIZES.search(name) or name in MEASURED) else value
    if name in PROSE:
        return "<prose>" if value else ""
    for pattern, word in PATTERNS:
        value = pattern.sub(word, value)
    return value


@pytest.fixture
def source_schema(connection: Connection) -> Iterator[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {SCHEMA}")
        yield SCHEMA
        cursor.execute(f"DROP DATABASE {SCHEMA}")


@pytest.fixture
def wrong() -> Iterator[list[str]]:
    """What differs, told of all documents at once."""
    found: list[str] = []
    yield found
    assert not found, "\n\n".join(found)


def differences(name: str, document: Any) -> list[str]:
    """Compares a document with its golden file: the lines that differ, or nothing."""
    path, text = GOLDEN / f"{name}.json", json.dumps(normalised(document), indent=2) + "\n"
    try:
        assert_golden(path, text)
    except (AssertionError, FileNotFoundError):
        golden = path.read_text(encoding="utf-8") if path.exists() else ""
        return ["\n".join(difflib.unified_diff(golden.splitlines(), text.splitlines(), name, "now", lineterm=""))]
    return []


def only_one_run(document: Any) -> Any:
    """Runs of the same second are listed in any order: of the last ones, one that is known."""
    if "runs" in document and isinstance(document["runs"][0], dict):
        return document | {"runs": [run for run in document["runs"] if run["tables_requested"] == ["shop.*"]]}
    return document


def make(world: World) -> None:
    table = "(id INT PRIMARY KEY, note LONGTEXT, price DECIMAL(10,2), update_at DATETIME NOT NULL, KEY (update_at))"
    for name, rows in (("parcels", 40), ("claims", 3)):
        world.execute(f"CREATE TABLE {name} {table}")
        world.execute(
            f"INSERT INTO {name} VALUES (%s, %s, %s, '2026-01-01' + INTERVAL %s SECOND)",
            [(n, "" if n == 7 else f"n{n}", n / 4, n) for n in range(rows)],
        )
    world.execute(
        "CREATE TABLE history (id INT PRIMARY KEY, ant_parcel_no VARCHAR(20), partner_id INT, latest_status VARCHAR(9),"
        " update_at DATETIME NOT NULL, KEY (update_at))"
    )
    world.execute("INSERT INTO history VALUES (1, 'a', 2, 'sent', '2026-01-01')")


def test_the_documents_that_scripts_read_are_a_contract(world: World, command: Command, wrong: list[str]) -> None:
    make(world)

    kept: set[str] = set()

    def keep(name: str, *words: str, code: int = 0, **variables: str) -> Outcome:
        kept.add(" ".join(takewhile(lambda word: not word.startswith("-"), words)))
        done = command(*words, "-o", "json", **variables)
        if done.code != code:
            wrong.append(f"{' '.join(words)}: exit {done.code}\n{done.err}")
        else:
            wrong.extend(differences(name, only_one_run(done.json)))
        return done

    parcels, claims, history = ("-t", "shop.parcels"), ("-t", "shop.claims"), ("-t", "shop.history")
    keep("dry_run_first", "sync", *parcels, "--dry-run", "--show-sql")
    keep("backup", "backup", *parcels, "--inline", "--batch-size", "15")
    keep("watermark_get_waiting", "watermark", "get", *parcels, "--show-files")
    events = keep("sync", "sync", "-t", "shop.*", "--inline", "--verify-data", "--progress", "json")
    said = [json.loads(line) for line in events.err.splitlines() if line.startswith("{")]
    kinds = {event["event"]: normalised(event) for event in said}
    keep("sync_nothing", "sync", *parcels, "--inline")
    world.execute("INSERT INTO claims VALUES (9, REPEAT('x', 70000), 1, '2026-01-01 00:10:00')")
    world.execute("INSERT INTO parcels VALUES (99, 'new', 1, '2026-01-01 00:10:00')")
    failed = keep("sync_partial", "sync", *parcels, *claims, "--inline", "--progress", "json", code=3)
    said = [json.loads(line) for line in failed.err.splitlines() if line.startswith("{")]
    kinds |= {event["event"]: normalised(event) for event in said if event["event"].endswith("failed")}
    wrong.extend(differences("events", dict(sorted(kinds.items()))))
    keep("sync_no_such_table", "sync", "-t", "shop.nope", "--inline", code=2)
    keep("error_settings", "status", code=2, DB_PORT="many")
    keep("error_words", "sync", code=2)
    keep("dry_run", "sync", *parcels, "--dry-run")
    keep("dry_run_refused", "sync", *parcels, "--dry-run", code=1, BACKUP_CURSOR_COLUMN="nope")
    keep("estimate", "sync", *parcels, "--estimate", "--full-refresh")
    keep("status", "status")
    keep("status_down", "status", code=1, REDSHIFT_PORT="1")
    keep("dashboard", "dashboard")
    keep("explore", "explore")
    keep("inspect", "inspect", *parcels, "--files", "9", "--sample", "1")
    fixed: dict[str, Any] = {"REDSHIFT_PORT": "5440", "S3_ENDPOINT_URL": "http://s3", "S3_ACCESS_KEY": "A"}
    keep("config_changed", "config", "--changed", DB_PORT="3307", **fixed)
    keep("config_mistakes", "config", "--changed", "--validate", code=2, DB_PORT="many", LOG_LEVEL="LOUD", **fixed)
    keep("info", "info")
    keep("report_list", "report", "--list")
    keep("verify", "verify", *parcels, "--inline")
    with world.warehouse.cursor() as cursor:
        cursor.execute("UPDATE shop.parcels SET note = 'other' WHERE id = 1")
    keep("verify_different", "verify", *parcels, "--inline", code=4)
    keep("repair_dry_run", "repair", *parcels, "--inline", "--dry-run", code=4)
    keep("views_show", "views", "show", *history)
    keep("views_apply", "views", "apply", *history)
    keep("watermark_list", "watermark", "list")
    keep("watermark_set", "watermark", "set", *parcels, "--timestamp", "2026-01-01 00:00:10", "--id", "10")
    keep("watermark_reset", "watermark", "reset", *claims)
    keep("watermark_rebuild", "watermark", "rebuild", *claims)
    keep("s3clean_list", "s3clean", "list", *parcels)
    keep("s3clean_clean", "s3clean", "clean", *parcels, "--force")
    keep("s3clean_clean_all", "s3clean", "clean-all", "--dry-run")
    keep("s3clean_orphans", "s3clean", "orphans", *parcels)
    keep("clean", "clean")
    keep("clean_confirmed", "clean", "--days", "1", "--confirm")
    assert kept >= {name for name, _ in commands(cli)} - WITHOUT_DOCUMENT - {"report"}  # a report has a test of its own
    world.execute("DELETE FROM parcels WHERE id = 2")
    keep("repair", "repair", *parcels, "--inline", "--soft-delete")
    keep("repair_nothing", "repair", *parcels, "--inline")
    keep("sync_deletes", "sync", *parcels, "--inline", "--deletes", "hard")


def test_a_report_is_a_contract(world: World, command: Command) -> None:
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, update_at DATETIME NOT NULL, KEY (update_at))")
    world.execute("INSERT INTO t VALUES (1, '2026-01-01 00:00:01')")
    assert command("sync", "-t", "shop.t", "--inline", "--verify-data").code == 0
    document = command("report", "-o", "json").json
    assert set(document["settings"]) == {name.upper() for name in Settings.model_fields}  # their values: the README's
    document["settings"] = {"DB_PASSWORD": document["settings"]["DB_PASSWORD"]}
    assert differences("report", document) == []


def test_a_field_that_is_renamed_or_lost_or_of_another_type_is_seen() -> None:
    document = {"rows": 3, "took": 1.25, "at": "2031-02-03T04:05:06+00:00", "run": None, "bytes": 77, "note": "some"}
    assert normalised(document) == {
        "rows": 3, "took": 0.5, "at": "<time>", "run": None, "bytes": 1, "note": "<prose>",
    }  # fmt: skip
    assert normalised(document | {"took": 1}) != normalised(document)
    assert normalised(document | {"run": ""}) != normalised(document)
    assert normalised(document | {"bytes": "77"}) != normalised(document)
    assert normalised({k: v for k, v in document.items() if k != "note"}) != normalised(document)
