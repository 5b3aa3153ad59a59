"""The commands as a user runs them: exit codes, what is on stdout, what on stderr, nothing left behind."""

from __future__ import annotations

import datetime as dt
import json
import os
import shlex
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from s3rs_ray.engine.tasks import open_store
from tests.support.program import PROGRAM, program_environment

if TYPE_CHECKING:
    from .conftest import World

TABLE = "(id INT PRIMARY KEY, note VARCHAR(20), update_at DATETIME NOT NULL, KEY (update_at))"


def s3rs(
    world: World, *arguments: str, change: dict[str, str] | None = None, directory: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs one command in a process of its own, with hardly anything of this process's environment."""
    environment = program_environment(os.environ.get("HOME", "/")) | {"BACKUP_SETTLE_SECONDS": "0"}
    return subprocess.run(
        [*PROGRAM, *arguments],
        env=environment | world.environment | (change or {}),
        capture_output=True,
        text=True,
        timeout=120,
        cwd=directory,
    )


def fill(world: World, rows: int = 100) -> str:
    world.execute(f"CREATE TABLE t {TABLE}")
    start = dt.datetime(2026, 1, 1)
    world.execute(
        "INSERT INTO t VALUES (%s, %s, %s)", [(i, f"row {i}", start + dt.timedelta(seconds=i)) for i in range(rows)]
    )
    return f"{world.schema}.t"


def test_json_is_the_only_thing_on_stdout_and_its_fields_are_a_contract(world: World) -> None:
    table = fill(world)
    done = s3rs(world, "sync", "-t", table, "-o", "json", "--batch-size", "30")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert set(document) == {
        "execution_id",
        "start_time",
        "end_time",
        "duration_seconds",
        "status",
        "tables_requested",
        "table_results",
        "summary",
        "error",
    }
    result = document["table_results"][table]
    assert {
        "status",
        "rows_extracted",
        "rows_loaded",
        "files_created",
        "bytes",
        "duration_seconds",
        "watermark",
        "error",
    } <= set(result)
    assert (result["rows_extracted"], result["rows_loaded"], result["files_created"]) == (100, 100, 4)
    assert document["summary"] == {"success_count": 1, "failure_count": 0, "total_rows": 100, "total_files": 4}
    assert "chunk extracted" in done.stderr
    assert world.target_rows("t", "count(*), count(distinct id)") == [(100, 100)]
    again = s3rs(world, "-o", "json", "sync", "-t", table)
    assert json.loads(again.stdout)["table_results"][table]["status"] == "nothing_to_do"


def test_backup_then_watermark_then_load(world: World) -> None:
    table = fill(world)
    assert s3rs(world, "backup", "-t", table, "--inline").returncode == 0
    shown = s3rs(world, "watermark", "get", "-t", "t", "--show-files", "-o", "json")
    state = json.loads(shown.stdout)
    assert state["last_mysql_data_timestamp"] == "2026-01-01 00:01:39"
    assert len(state["waiting_s3_files"]) == 1
    loaded = json.loads(s3rs(world, "sync", "-t", table, "--redshift-only", "-o", "json").stdout)
    assert loaded["table_results"][table]["rows_loaded"] == 100
    listed = json.loads(s3rs(world, "watermark", "list", "-o", "json").stdout)
    assert table in {t["table_name"] for t in listed["tables"]}


def test_a_watermark_set_by_hand_says_so_and_is_where_the_next_run_starts(world: World) -> None:
    table = fill(world)
    moved = s3rs(world, "watermark", "set", "-t", table, "--timestamp", "2026-01-01 00:00:49", "--id", "49")
    assert moved.returncode == 0, moved.stderr
    state = json.loads(s3rs(world, "watermark", "get", "-t", table, "-o", "json").stdout)
    assert state["backup_strategy"] == "manual_cli"
    assert s3rs(world, "sync", "-t", table, "--inline").returncode == 0
    assert world.target_rows("t", "min(id), count(*)") == [(50, 50)]


def test_files_extracted_after_a_watermark_set_by_hand_are_loaded(world: World) -> None:
    table = fill(world)
    for upto in (30, 100):
        world.execute("UPDATE t SET update_at = '2999-01-01' WHERE id >= %s", [(upto,)])
        assert s3rs(world, "backup", "-t", table, "--inline").returncode == 0
        world.execute("UPDATE t SET update_at = '2026-01-01' + INTERVAL id SECOND WHERE id >= %s", [(upto,)])
    s3rs(world, "watermark", "set", "-t", table, "--timestamp", "2026-01-01 00:00:29", "--id", "29")
    done = json.loads(s3rs(world, "sync", "-t", table, "--redshift-only", "-o", "json").stdout)
    assert done["table_results"][table]["rows_loaded"] == 70
    assert world.target_rows("t", "min(id), count(*)") == [(30, 70)]


def test_a_mode_and_a_full_refresh_are_asked_for_by_flags(world: World) -> None:
    table = fill(world)
    assert s3rs(world, "sync", "-t", table, "--inline", "--mode", "append").returncode == 0
    world.execute("UPDATE t SET update_at = '2026-02-01' WHERE id < 10")
    refused = s3rs(world, "sync", "-t", table)
    assert refused.returncode == 1
    assert "holds every version" in refused.stderr
    dry = s3rs(world, "sync", "-t", table, "--full-refresh", "--dry-run")
    assert "window: the whole table; later runs carry on after (" in dry.stdout
    done = s3rs(world, "sync", "-t", table, "--inline", "--full-refresh", "-o", "json")
    assert json.loads(done.stdout)["table_results"][table]["rows_loaded"] == 100, done.stderr
    world.assert_equal("t")


def test_dry_run_shows_the_plan_and_changes_nothing(world: World) -> None:
    table = fill(world)
    before = [o.key for o in open_store(world.settings).list("")]
    shown = s3rs(world, "sync", "-t", table, "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert f"{table}: run" in shown.stdout
    assert "VARCHAR(80)" in shown.stdout
    plan = json.loads(s3rs(world, "sync", "-t", table, "--dry-run", "-o", "json").stdout)["plans"][0]
    assert (plan["action"], plan["window"]["upto"]) == ("run", "2026-01-01 00:01:39")
    assert [o.key for o in open_store(world.settings).list("")] == before


def test_status_says_what_is_down(world: World) -> None:
    up = s3rs(world, "status", "-o", "json")
    assert up.returncode == 0, up.stderr
    assert all(check["up"] for check in json.loads(up.stdout)["checks"].values())
    down = s3rs(world, "status", "-o", "json", change={"REDSHIFT_PASSWORD": "wrong"})
    checks = json.loads(down.stdout)["checks"]
    assert down.returncode == 1
    assert [name for name, check in checks.items() if not check["up"]] == ["redshift"]


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"DB_PASSWORD": "wr@ng%"}, 1, "check DB_USER and DB_PASSWORD"),
        ({"DB_PORT": "1"}, 1, "check DB_HOST, DB_PORT"),
        ({"S3_BUCKET_NAME": "no-such-bucket"}, 1, "check S3_BUCKET_NAME"),
        ({"S3_SECRET_KEY": "wrong"}, 1, "check S3_SECRET_KEY"),
        ({"S3_ENDPOINT_URL": "http://127.0.0.1:1"}, 1, "check S3_ENDPOINT_URL"),
        ({"REDSHIFT_PASSWORD": "wrong"}, 1, "check REDSHIFT_USER and REDSHIFT_PASSWORD"),
        ({"REDSHIFT_PORT": "1"}, 1, "check REDSHIFT_HOST, REDSHIFT_PORT"),
        ({"DB_HOST": "", "REDSHIFT_HOST": ""}, 2, "missing settings: DB_HOST"),
        ({"DB_PORT": "many"}, 2, "DB_PORT = 'many' (environment)"),
        ({"BACKUP_CURSOR_COLUMN": "changed"}, 1, "has no column changed"),
        ({"BACKUP_KEY_COLUMNS": "note"}, 1, "no unique index covers the key columns note"),
    ],
)
def test_bad_settings_get_one_clear_message(world: World, change: dict[str, str], code: int, says: str) -> None:
    table = fill(world)
    done = s3rs(world, "sync", "-t", table, change=change)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert change.get("DB_PASSWORD", "wr@ng%") not in done.stderr + done.stdout
    written = [o.key for o in open_store(world.settings).list("") if world.schema in o.key]
    assert [key for key in written if not key.endswith("/_FAILED")] == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["sync"], "Missing option '-t'"),
        (["sync", "-t", "nope"], "the source has no table"),
        (["sync", "-t", "t", "--limit", "0"], "0 is not in the range"),
        (["sync", "-t", "t", "--backup-only", "--redshift-only"], "exclude each other"),
        (["watermark", "set", "-t", "t", "--timestamp", "yesterday"], "--timestamp 'yesterday'"),
        (["--config-file", "nowhere.yaml", "status"], "cannot read the settings file nowhere.yaml"),
        (["frobnicate"], "No such command"),
    ],
)
def test_bad_words_exit_2(world: World, arguments: list[str], says: str) -> None:
    done = s3rs(world, *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_is_json_too(world: World) -> None:
    done = s3rs(world, "sync", "-t", "nope", "-o", "json")
    assert json.loads(done.stdout)["error"]["type"] == "TableNotFound"


def test_unreachable_hosts_are_told_within_ten_seconds(world: World) -> None:
    table = fill(world)
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # accepts, and never says a word
        started = time.monotonic()
        done = s3rs(world, "sync", "-t", table, change={"DB_PORT": str(deaf.getsockname()[1])})
        seconds = time.monotonic() - started
    assert done.returncode == 1
    assert "cannot reach MySQL" in done.stderr
    assert seconds < 12  # 8 s for the connection, the rest is the start of the program


def test_the_demo_ends_well(tmp_path: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "demo", "--rows", "5000"],
        env=program_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=170,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("equal") >= 4
    assert "every value compared is equal" in done.stdout


def test_a_newcomer_tries_the_commands_on_a_stack_that_is_held(tmp_path: Path) -> None:
    """The README's lines for whoever has no MySQL and no Redshift at hand."""
    outside = program_environment(tmp_path)
    held = subprocess.Popen(
        [*PROGRAM, "local", "up", "--env-file", "demo.env", "--rows", "2000"],
        env=outside, cwd=tmp_path, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert held.stdout is not None
        ready = held.stdout.readline()
        assert ready == "ready: set -a; . ./demo.env; set +a\n"
        script = f"{ready.removeprefix('ready: ')} {shlex.join(PROGRAM)} sync -t 'settlement.*' --inline -o json"
        done = subprocess.run(
            ["sh", "-ec", script], env=outside, cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        tables = json.loads(done.stdout)["table_results"]
        assert tables["settlement.settlement_normal_delivery_detail"]["rows_loaded"] == 2000
    finally:
        held.terminate()
        assert held.wait(30) == 0
        if held.stdout is not None:
            held.stdout.close()
