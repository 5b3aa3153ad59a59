"""Cleaning: what may go, what stays whatever is asked, and what is said of it afterwards."""

from __future__ import annotations

import datetime as dt
import os
import pty
import subprocess
from typing import TYPE_CHECKING

import pytest

from s3rs_ray.engine.adopt import written_files
from s3rs_ray.engine.cleaning import clean_table
from s3rs_ray.engine.events import Status
from s3rs_ray.engine.retention import delete_expired, find_expired
from s3rs_ray.engine.standing import Selection
from s3rs_ray.engine.tasks import data_key, open_store
from s3rs_ray.ledger.store import Holder
from s3rs_ray.storage.layout import format_state_key
from tests.support.program import PROGRAM, program_environment
from tests.support.s3_policy import no_deletion

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..conftest import World
    from .conftest import Command

START = dt.datetime(2026, 1, 1)


def fill(world: World, table: str = "t", ids: range = range(200)) -> None:
    if ids.start == 0:
        world.execute(f"CREATE TABLE {table} (id INT PRIMARY KEY, update_at DATETIME NOT NULL, KEY (update_at))")
    world.execute(f"INSERT INTO {table} VALUES (%s, %s)", [(i, START + dt.timedelta(seconds=i)) for i in ids])


def carry(world: World, table: str = "t", rows: int = 50, **asked: bool) -> None:
    world.sync_one(table, world.settings.model_copy(update={"backup_batch_size": rows}), **asked)


def test_files_that_wait_are_listed_and_kept_and_loaded_ones_go(
    world: World, command: Command, keys: Callable[[str], list[str]]
) -> None:
    fill(world)
    carry(world)
    fill(world, ids=range(200, 300))
    carry(world, load=False)
    name = f"{world.schema}.t"
    listed = command("s3clean", "list", "-t", f"{world.schema}.*", "-o", "json").json
    assert [o["standing"] for o in listed["tables"][name]["objects"]] == ["loaded"] * 4 + ["not loaded"] * 2
    assert set(listed["tables"][name]["objects"][0]) == {"key", "bytes", "modified", "standing"}
    assert listed["bytes"] == sum(o["bytes"] for o in listed["tables"][name]["objects"])

    tried = command("s3clean", "clean", "-t", "t", "--dry-run", "-o", "json").json
    assert (tried["dry_run"], tried["tables"][name]["selected"]["files"], len(keys("t"))) == (True, 4, 6)
    done = command("s3clean", "clean", "-t", "t", "--force", "-o", "json").json["tables"][name]
    assert (done["before"]["files"], done["deleted"]["files"], done["after"]["files"]) == (6, 4, 2)
    assert done["kept"]["not loaded"]["files"] == 2
    assert world.sync_one("t", extract=False).rows_loaded == 100
    world.assert_equal("t")


def test_after_cleaning_a_load_from_s3_alone_names_what_is_gone(world: World, command: Command) -> None:
    fill(world)
    carry(world)
    assert command("s3clean", "clean", "-t", "t", "--force", "--pattern", "batch_000[23]*").code == 0
    assert command("watermark", "reset", "-t", "t").code == 0
    loading = command("sync", "-t", f"{world.schema}.t", "--redshift-only", "--inline")
    assert loading.code == 4
    assert "on S3 no more are 2 of the files of run" in loading.err
    assert "with 100 rows" in loading.err
    assert "without --redshift-only" in loading.err
    assert world.sync_one("t").rows_extracted == 200
    world.assert_equal("t")


def test_after_cleaning_a_lost_state_is_rebuilt_from_the_warehouse(world: World, command: Command) -> None:
    fill(world)
    carry(world)
    assert command("s3clean", "clean", "-t", "t", "--force").code == 0
    fill(world, ids=range(200, 300))
    carry(world, load=False)
    store, name = open_store(world.settings), world.name("t")
    waiting = written_files(store, world.settings.s3_incremental_path, name)
    store.delete([format_state_key(name)])
    assert command("watermark", "rebuild", "-t", "t").code == 0
    assert command("s3clean", "clean", "-t", "t", "--force", "--pattern", waiting[0].file.key).code == 0
    store.delete([format_state_key(name)])
    rebuilt = command("watermark", "rebuild", "-t", "t")
    assert rebuilt.code == 4
    assert waiting[0].file.key in rebuilt.err


def test_a_file_that_waits_goes_only_by_its_name_and_a_reset_makes_the_table_whole(
    world: World, command: Command, keys: Callable[[str], list[str]]
) -> None:
    fill(world)
    carry(world, load=False)
    first = keys("t")[0]
    kept = command("s3clean", "clean", "-t", "t", "--force", "--pattern", "batch_0000*")
    assert (kept.code, len(keys("t"))) == (0, 4)
    gone = command("s3clean", "clean", "-t", "t", "--force", "--pattern", first.rpartition("/")[2])
    assert f"warning: {first} is not loaded" in gone.err
    assert "`watermark reset`" in gone.err
    assert first not in keys("t")
    assert command("watermark", "reset", "-t", "t").code == 0
    assert world.sync_one("t").rows_loaded == 200
    world.assert_equal("t")


def test_files_of_a_table_without_a_state_are_kept(
    world: World, command: Command, keys: Callable[[str], list[str]]
) -> None:
    fill(world)
    carry(world, load=False)
    open_store(world.settings).delete([format_state_key(world.name("t"))])
    assert command("s3clean", "clean", "-t", "t", "--force").code == 0
    assert command("clean", "--days", "1", "--confirm").code == 0
    orphans = command("s3clean", "orphans", "-t", "t", "--clean", "--force")
    assert len(keys("t")) == 4
    assert orphans.code == 0
    assert world.sync_one("t", extract=False).rows_loaded == 200


def test_files_of_an_open_run_and_of_a_neighbour_stay(
    world: World, command: Command, keys: Callable[[str], list[str]]
) -> None:
    fill(world)
    fill(world, "tt")
    carry(world)
    carry(world, "tt")
    store, state = open_store(world.settings), world.ledger().load(world.name("t"))
    foreign = f"{world.settings.s3_incremental_path}{world.schema}.t/notes.parquet"
    text = f"{world.settings.s3_incremental_path}{world.schema}.t/_SUCCESS"
    orphan = data_key(world.settings, world.name("t"), state.last_run_id, 77)
    for key in (foreign, text, orphan):
        store.put_new(key, b"x")
    shown = command("s3clean", "clean", "-t", "t", "--force")
    assert "1 orphaned, 1 of another program" in shown.out
    assert keys("t") == sorted([foreign, text, orphan])
    assert len(keys("tt")) == 4
    assert command("s3clean", "clean", "-t", "t", "--force", "--pattern", "notes.parquet").code == 0
    assert keys("t") == sorted([text, orphan])


def test_age_and_pattern_select(world: World) -> None:
    fill(world)
    carry(world)
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=23)
    nothing = clean_table(world.settings, world.name("t"), Selection(older_than=dt.timedelta(days=1)), lambda: later)
    assert (nothing.deleted.files, nothing.after.files) == (0, 4)
    two = Selection(older_than=dt.timedelta(hours=22), pattern="batch_000[01]*")
    assert clean_table(world.settings, world.name("t"), two, lambda: later).after.files == 2


def test_a_table_that_a_run_holds_is_left_and_the_others_are_cleaned(
    world: World, command: Command, keys: Callable[[str], list[str]]
) -> None:
    fill(world)
    fill(world, "held")
    carry(world)
    carry(world, "held")
    world.ledger().acquire(world.name("held"), Holder(token="elsewhere/1/x", host="elsewhere", pid=1))
    alone = command("s3clean", "clean", "-t", "held", "--force")
    assert alone.code == 5
    assert "is held by process 1 on elsewhere" in alone.err
    every = command(
        "clean", "--days", "1", "--prefix", f"{world.settings.s3_incremental_path}{world.schema}.", "-o", "json"
    )
    assert every.json["selected"]["files"] == 0
    assert len(keys("held")) == 4


def test_files_that_s3_does_not_delete_are_named_one_by_one(
    world: World, command: Command, keys: Callable[[str], list[str]]
) -> None:
    fill(world)
    carry(world)
    store, folder = open_store(world.settings), f"{world.settings.s3_incremental_path}{world.schema}.t/"
    state = world.ledger().load(world.name("t"))
    stray = data_key(world.settings, world.name("t"), state.last_run_id, 77)
    store.put_new(stray, b"x")
    locked = keys("t")[1]
    said = f"error: {locked} could not be deleted: AccessDenied: Access Denied"
    with no_deletion(store, locked, stray):
        orphans = command("s3clean", "orphans", "-t", "t", "--clean", "--force", "-o", "json")
        assert (orphans.code, orphans.json["orphans"], list(orphans.json["refused"])) == (1, [], [stray])
        done = command("s3clean", "clean", "-t", "t", "--force", "-o", "json")
        assert keys("t") == [locked, stray]
        again = command("s3clean", "clean-all", "--force", "--pattern", f"{folder}*")
        old = find_expired(world.settings, folder, dt.timedelta(0))
        expired = delete_expired(world.settings, old)
    assert (done.code, again.code) == (1, 1)
    assert said in done.err
    assert said in again.err
    assert "s3:DeleteObject" in again.err
    told = done.json["tables"][f"{world.schema}.t"]
    assert (told["deleted"]["files"], told["after"]["files"], len(told["keys"])) == (3, 2, 3)
    assert told["refused"] == {locked: "AccessDenied: Access Denied"}
    assert (expired.deletion.deleted.files, list(expired.deletion.refused)) == (0, [locked])
    assert command("s3clean", "clean", "-t", "t", "--force").code == 0
    assert keys("t") == [stray]


@pytest.mark.parametrize("arguments", [("clean", "-t", "t"), ("clean-all",), ("orphans", "-t", "t", "--clean")])
def test_without_a_terminal_a_prompt_fails_and_nothing_is_deleted(
    world: World, command: Command, keys: Callable[[str], list[str]], arguments: tuple[str, ...]
) -> None:
    fill(world)
    carry(world)
    state = world.ledger().load(world.name("t"))
    open_store(world.settings).put_new(data_key(world.settings, world.name("t"), state.last_run_id, 77), b"x")
    refused = command("s3clean", *arguments)
    assert refused.code == 2
    assert "nobody can be asked" in refused.err
    assert "add --force" in refused.err
    assert len(keys("t")) == 5


@pytest.mark.parametrize("age", ["7", "7w", "-1d", "1.5h", "d"])
def test_an_age_that_is_none_is_refused(command: Command, age: str) -> None:
    refused = command("s3clean", "clean", "-t", "t", "--older-than", age)
    assert refused.code == 2
    assert age in refused.err
    assert "7d, 24h, 30m" in refused.err


def answered(world: World, answers: str, *arguments: str) -> tuple[int, str]:
    """Runs a command at a terminal of its own."""
    ours, theirs = pty.openpty()
    environment = program_environment() | {"TERM": "xterm"} | world.environment
    os.write(ours, answers.encode())
    done = subprocess.run(
        [*PROGRAM, *arguments],
        env=environment, stdin=theirs, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    os.close(ours)
    os.close(theirs)
    return done.returncode, done.stdout + done.stderr


def test_all_is_asked_twice(world: World, keys: Callable[[str], list[str]]) -> None:
    fill(world)
    carry(world)
    others = ("--pattern", f"{world.settings.s3_incremental_path}{world.schema}.*")  # the bucket is shared by tests
    for answers in ("n\n", "y\nno\n"):
        code, said = answered(world, answers, "s3clean", "clean-all", *others)
        assert (code, len(keys("t"))) == (1, 4), said
    code, said = answered(world, f"y\n{world.settings.s3_bucket_name}\n", "s3clean", "clean-all", *others)
    assert (code, keys("t")) == (0, []), said
    assert world.sync_one("t").status is Status.NOTHING


def test_old_files_go_by_the_same_rules_and_objects_of_nobody_only_where_they_are_asked_for(
    world: World, keys: Callable[[str], list[str]]
) -> None:
    fill(world)
    fill(world, "waits")
    carry(world)
    carry(world, "waits", load=False)
    store, scratch = open_store(world.settings), f"scratch-{world.schema}/"
    for n in range(3):
        store.put_new(f"{scratch}{n}.csv", b"x")

    def delete(prefix: str, days: int = 40) -> int:
        later = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
        found = find_expired(world.settings, prefix, dt.timedelta(days=30), lambda: later)
        return delete_expired(world.settings, found, lambda: later).deletion.deleted.files

    assert delete(f"incremental/{world.schema}.", days=29) == 0
    assert delete(f"incremental/{world.schema}.") == 4
    assert (len(keys("t")), len(keys("waits"))) == (0, 4)
    assert delete(f"manifests/{world.schema}.t/") == 1
    assert [delete(f"{own}/{world.schema}.") for own in ("watermark/tables", "runs", "manifests", "incremental")] == [
        0
    ] * 4
    assert delete(scratch) == 3
    assert world.sync_one("waits", extract=False).rows_loaded == 200
    assert world.sync_one("t").status is Status.NOTHING


def test_what_old_runs_left_goes_and_the_records_that_tell_of_missing_files_stay(
    world: World, command: Command, keys: Callable[[str], list[str]]
) -> None:
    fill(world)
    fill(world, "waits")
    store, folder = open_store(world.settings), f"runs/{world.schema}.t/"
    for ids in (range(200, 210), range(210, 220), range(220, 230)):
        assert command("sync", "-t", "t", "--inline").code == 0
        fill(world, ids=ids)
    sync = command("sync", "-t", f"{world.schema}.t", "--inline", "-o", "json").json["execution_id"]
    held = command("backup", "-t", f"{world.schema}.waits", "--inline", "-o", "json").json["execution_id"]
    assert command("sync", "-t", "t", "--inline", REDSHIFT_PORT="1").code == 1
    last = world.ledger().load(world.name("t")).last_run_id
    waiting = [o.key for o in store.list(f"runs/{world.schema}.waits/")]

    def history() -> dict[str, int]:
        names = [o.key.rpartition("/")[2] for o in store.list(folder)]
        return {name: names.count(name) for name in sorted(set(names))}

    def delete(days: int = 40) -> None:
        later = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
        for prefix in (f"incremental/{world.schema}.", f"runs/{world.schema}."):
            found = find_expired(world.settings, prefix, dt.timedelta(days=30), lambda: later)
            delete_expired(world.settings, found, lambda: later)

    delete(days=29)
    assert history() == {"_FAILED": 1, "_SUCCESS": 4, "files.json": 4, "table.json": 4}
    before = world.ledger().load(world.name("t"))
    delete()
    assert (keys("t"), history()) == ([], {"_FAILED": 1, "_SUCCESS": 1, "files.json": 1, "table.json": 1})
    assert store.head(f"{folder}{last}/files.json")
    (marker,) = (o.key.split("/")[2] for o in store.list(folder) if o.key.endswith("/_SUCCESS"))
    assert marker[:16] == sync[:16]  # ids of commands within one second are in no order
    assert [o.key for o in store.list(f"runs/{world.schema}.waits/")] == waiting
    assert len(keys("waits")) == 1
    assert world.ledger().load(world.name("t")).loaded == before.loaded
    reports = {o.key for o in find_expired(world.settings, "runs/reports/", dt.timedelta(0)).reports}
    assert not [key for key in reports if marker in key or held in key]

    assert command("watermark", "reset", "-t", "t").code == 0
    loading = command("sync", "-t", f"{world.schema}.t", "--redshift-only", "--inline")
    assert loading.code == 4
    assert "on S3 no more are 1 of the files of run" in loading.err
    assert world.sync_one("t").rows_extracted == 230
    assert world.sync_one("waits", extract=False).rows_loaded == 200
    world.assert_equal("t")


def test_nothing_goes_of_the_history_of_a_table_whose_state_is_lost(world: World) -> None:
    fill(world)
    for ids in (range(200, 210), range(210, 220)):
        carry(world)
        fill(world, ids=ids)
    store = open_store(world.settings)
    store.delete([format_state_key(world.name("t")), *(o.key for o in store.list(f"incremental/{world.schema}.t/"))])
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=40)
    assert find_expired(world.settings, f"runs/{world.schema}.", dt.timedelta(days=30), lambda: later).tables == ()


def test_files_of_an_earlier_incremental_path_still_belong_to_their_table(world: World) -> None:
    fill(world)
    carry(world, load=False)
    moved = world.settings.model_copy(update={"s3_incremental_path": f"daily-{world.schema}/"})
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=40)
    expired = find_expired(moved, f"incremental/{world.schema}.", dt.timedelta(days=30), lambda: later)
    assert expired.others == ()


def test_clean_shows_only_unless_it_is_confirmed(
    world: World, command: Command, keys: Callable[[str], list[str]]
) -> None:
    fill(world)
    carry(world)
    shown = command("clean", "--prefix", f"incremental/{world.schema}.", "-o", "json")
    assert set(shown.json) == {
        "bucket", "prefix", "days", "dry_run", "selected", "deleted", "tables", "reports", "refused", "others"
    }  # fmt: skip
    assert (shown.code, shown.json["dry_run"], shown.json["days"], len(keys("t"))) == (0, True, 30, 4)
    assert command("clean", "-o", "json", BACKUP_RETENTION_DAYS="90").json["days"] == 90
    assert command("clean", "--days", "0").code == 2
    assert "check S3_BUCKET_NAME" in command("clean", "--bucket", "no-such-bucket").err
