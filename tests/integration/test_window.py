"""The window of a run: what is settled, what holds it back, which cursors it follows."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from s3rs_ray.engine.by_hand import place_by_hand
from s3rs_ray.engine.events import Status
from s3rs_ray.engine.tasks import open_store
from s3rs_ray.errors import ConfigError, UsageError
from s3rs_ray.ledger.changes import SetWatermark
from s3rs_ray.model import Watermark

if TYPE_CHECKING:
    from s3rs_ray.local.stack import LocalStack

    from .conftest import World


def make(world: World, cursor: str = "DATETIME NOT NULL") -> None:
    world.execute(f"CREATE TABLE t (id INT PRIMARY KEY, note VARCHAR(20), update_at {cursor}, KEY (update_at))")


@contextmanager
def other_session(stack: LocalStack, world: World) -> Iterator[pymysql.cursors.Cursor]:
    """A transaction of another client; rolled back at the end if still open."""
    with stack.mariadb.connect() as connection:
        connection.autocommit(False)
        with connection.cursor() as cursor:
            cursor.execute(f"USE `{world.schema}`")
            yield cursor
        connection.rollback()


def utc(world: World, **changes: Any) -> Any:
    return world.settings.model_copy(update={"backup_cursor_time_zone": "+00:00", **changes})


def test_a_row_committed_late_is_not_passed_by(stack: LocalStack, world: World) -> None:
    make(world)
    with other_session(stack, world) as late:
        late.execute("INSERT INTO t VALUES (1, 'late', UTC_TIMESTAMP())")
        world.execute(
            "INSERT INTO t VALUES (2, 'early', '2026-01-01'), (3, 'later', UTC_TIMESTAMP() + INTERVAL 1 SECOND)"
        )
        world.execute("DO SLEEP(2.2)")
        first = world.sync_one("t", utc(world))
        assert first.rows_extracted == 1
        assert "a transaction that writes has been open" in first.note
        late.execute("COMMIT")
    world.sync_one("t", utc(world))
    assert world.target_rows("t", "id", "ORDER BY id") == [(1,), (2,), (3,)]


def test_a_transaction_that_only_reads_holds_nothing_back(stack: LocalStack, world: World) -> None:
    make(world)
    with other_session(stack, world) as reader:
        reader.execute("SELECT * FROM t")
        world.execute("INSERT INTO t VALUES (1, 'x', UTC_TIMESTAMP() - INTERVAL 2 SECOND)")
        assert world.sync_one("t", utc(world)).rows_extracted == 1


def test_without_the_privilege_to_see_transactions_settle_alone_is_used_and_said(
    stack: LocalStack, world: World
) -> None:
    make(world)
    world.execute("INSERT INTO t VALUES (1, 'x', '2026-01-01')")
    user, password = f"u{secrets.token_hex(4)}", secrets.token_hex(8)
    world.execute(f"CREATE USER {user}@'127.0.0.1' IDENTIFIED BY '{password}'")
    world.execute(f"GRANT SELECT ON `{world.schema}`.* TO {user}@'127.0.0.1'")
    poor = type(world.settings).load(
        environment={**world.environment, "DB_USER": user, "DB_PASSWORD": password, "BACKUP_SETTLE_SECONDS": "0"}
    )
    result = world.sync_one("t", poor)
    world.execute(f"DROP USER {user}@'127.0.0.1'")
    assert result.rows_loaded == 1
    assert "open transactions cannot be seen (no PROCESS privilege)" in result.note


def test_a_row_that_is_not_settled_is_left_to_the_next_run(world: World) -> None:
    make(world)
    world.execute("INSERT INTO t VALUES (1, 'old', '2026-01-01'), (2, 'soon', UTC_TIMESTAMP() + INTERVAL 5 SECOND)")
    assert world.sync_one("t", utc(world)).rows_extracted == 1
    world.execute("DO SLEEP(6.1)")
    assert world.sync_one("t", utc(world)).rows_extracted == 1


def test_a_cursor_in_another_time_zone(world: World) -> None:
    make(world)
    world.execute(
        "INSERT INTO t VALUES (1, 'there', UTC_TIMESTAMP() + INTERVAL 8 HOUR - INTERVAL 10 SECOND),"
        " (2, 'ahead', UTC_TIMESTAMP() + INTERVAL 9 HOUR)"
    )
    assert world.sync_one("t", utc(world)).status is Status.NOTHING
    assert world.sync_one("t", utc(world, backup_cursor_time_zone="+08:00")).rows_extracted == 1


@pytest.mark.parametrize(
    ("cursor", "unit", "old", "new", "future"),
    [
        ("DATE NOT NULL", "", "'2026-01-01'", "UTC_DATE() - INTERVAL 1 DAY", "UTC_DATE()"),
        ("DATETIME(6) NOT NULL", "", "'2026-01-01'", "UTC_TIMESTAMP(6) - INTERVAL 1 SECOND", "'2999-01-01'"),
        ("TIMESTAMP(3) NOT NULL", "", "'2026-01-01'", "NOW(3) - INTERVAL 1 SECOND", "'2037-01-01'"),
        ("INT NOT NULL", "seconds", "1", "UNIX_TIMESTAMP() - 2", "UNIX_TIMESTAMP() + 1000"),
        ("BIGINT UNSIGNED NOT NULL", "milliseconds", "1", "UNIX_TIMESTAMP() * 1000 - 2000", "UNIX_TIMESTAMP() * 2000"),
    ],
    ids=["date", "datetime6", "timestamp3", "epoch", "milliseconds"],
)
def test_cursors_of_every_kind(world: World, cursor: str, unit: str, old: str, new: str, future: str) -> None:
    make(world, cursor)
    settings = utc(world, backup_cursor_unit=unit)
    world.execute(f"INSERT INTO t VALUES (1, 'old', {old}), (2, 'old too', {old}), (4, 'future', {future})")
    assert world.sync_one("t", settings).rows_extracted == 2
    world.execute(f"INSERT INTO t VALUES (3, 'new', {new})")
    assert world.sync_one("t", settings).rows_extracted == 1
    assert world.sync_one("t", settings).status is Status.NOTHING
    assert world.target_rows("t", "id", "ORDER BY id") == [(1,), (2,), (3,)]


def test_an_integer_cursor_needs_a_unit(world: World) -> None:
    make(world, "INT NOT NULL")
    world.execute("INSERT INTO t VALUES (1, 'x', 1)")
    (refused,) = world.sync("t")
    assert (refused.exit_code, refused.hint) == (
        2,
        "set BACKUP_CURSOR_UNIT to one of seconds, milliseconds, microseconds since 1970",
    )


def test_rows_without_a_cursor_are_counted_and_said(world: World) -> None:
    make(world, "DATETIME NULL")
    world.execute("INSERT INTO t VALUES (1, 'x', '2026-01-01'), (2, 'none', NULL), (3, 'none', NULL)")
    result = world.sync_one("t", utc(world))
    assert result.rows_extracted == 1
    assert "2 rows have no update_at" in result.note


def test_a_look_back_reads_rows_that_were_written_late(world: World) -> None:
    make(world)
    start = dt.datetime(2026, 1, 1)
    world.execute("INSERT INTO t VALUES (%s, 'x', %s)", [(i, start + dt.timedelta(minutes=i)) for i in range(10)])
    settings = utc(world, backup_lookback_seconds=300)
    assert world.sync_one("t", settings).rows_extracted == 10
    world.execute("INSERT INTO t VALUES (100, 'late', '2026-01-01 00:04:00'), (101, 'too late', '2026-01-01 00:03:59')")
    again = world.sync_one("t", settings)
    assert again.rows_extracted == 7
    assert world.target_rows("t", "count(*), count(distinct id)") == [(11, 11)]
    world.execute("INSERT INTO t VALUES (200, 'tie', '2026-01-01 00:09:00')")
    world.sync_one("t", settings)
    assert world.target_rows("t", "count(*)", "WHERE id = 200") == [(1,)]


@pytest.mark.parametrize(
    ("cursor", "unit", "values", "by_hand", "says"),
    [
        ("DATE NOT NULL", "", ["2026-01-01", "2026-01-02", "2026-01-03"], "2026-01-02", "holds whole days"),
        ("INT NOT NULL", "seconds", [1767225600, 1767312000, 1767398400], "2026-01-02", None),
        ("INT NOT NULL", "seconds", [1767225600, 1767312000, 1767398400], "1767312000", None),
        ("BIGINT NOT NULL", "milliseconds", [1, 1767312000500, 1767398400000], "2026-01-02 00:00:00.5", None),
        ("DATETIME(6) NOT NULL", "", ["2026-01-01", "2026-01-02 03:04:05.000006", "2026-01-03"], None, "is not a time"),
        ("TIMESTAMP NOT NULL", "", ["2026-01-01", "2026-01-02", "2026-01-03"], "2026-01-02", "is not a time"),
    ],
    ids=["date", "seconds", "number", "milliseconds", "datetime6", "timestamp"],
)
def test_a_watermark_set_by_hand_is_of_the_cursors_own_kind(
    world: World, cursor: str, unit: str, values: list[Any], by_hand: str | None, says: str | None
) -> None:
    make(world, cursor)
    settings = utc(world, backup_cursor_unit=unit)
    world.execute("SET SESSION time_zone = '+00:00'")
    world.execute("INSERT INTO t VALUES (%s, 'x', %s)", list(enumerate(values, 1)))
    store, name = open_store(settings), world.name("t")

    def move(place: str, key: int | None = None) -> None:
        mark = place_by_hand(settings, store, name, place, key)
        world.ledger().commit(name, [SetWatermark(watermark=mark, generation=place)])

    move(by_hand or values[1])  # as the source says, before any run
    assert world.sync_one("t", settings).rows_loaded == 2
    move(by_hand or values[1], 2)  # as the run's record says
    assert world.sync_one("t", settings).rows_loaded == 1
    assert world.sync_one("t", settings.model_copy(update={"backup_lookback_seconds": 2 * 86400})).rows_loaded > 1
    if says:
        with pytest.raises(UsageError, match=says):
            place_by_hand(
                settings, store, name, "2026-01-02 12:00:00+01:00" if "time" in says else f"{by_hand} 12:00", 1
            )


def test_a_key_that_is_no_integer_is_not_set_by_hand(world: World) -> None:
    world.execute("CREATE TABLE t (k VARCHAR(9) PRIMARY KEY, update_at INT NOT NULL, KEY (update_at))")
    with pytest.raises(UsageError, match=r"the key of .* is k, not one integer column"):
        place_by_hand(world.settings, open_store(world.settings), world.name("t"), "5", 1)
    world.execute("ALTER TABLE t ADD COLUMN day DATE")
    by_day = world.settings.model_copy(update={"backup_cursor_column": "day"})
    with pytest.raises(UsageError, match="--timestamp 5: the cursor day of"):
        place_by_hand(by_day, open_store(by_day), world.name("t"), "5", None)
    with pytest.raises(ConfigError, match="is an integer"):
        place_by_hand(world.settings, open_store(world.settings), world.name("t"), "2026-01-01", None)


def test_a_watermark_of_another_column_is_refused_instead_of_missing_rows(world: World) -> None:
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, update_at DATETIME NOT NULL, made_at DATETIME NOT NULL)")
    world.execute("INSERT INTO t VALUES (1, '2026-01-05', '2026-01-01'), (2, '2026-01-05', '2026-01-01')")
    world.sync_one("t", limit=1)
    by_birth = utc(world, backup_cursor_column="made_at")
    (refused,) = world.sync("t", settings=by_birth)
    assert refused.status is Status.FAILED
    assert "follows (update_at, id)" in refused.error
    world.ledger().commit(world.name("t"), [SetWatermark(watermark=Watermark.START, generation="anew")])
    world.sync_one("t", by_birth)
    assert world.target_rows("t") == [(2,)]
