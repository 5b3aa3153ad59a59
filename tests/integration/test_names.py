"""Names of tables and columns: whatever MySQL allows arrives, or is refused before any work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from s3rs_ray.engine.events import Status
from tests.support.exact import assert_exact, fill

if TYPE_CHECKING:
    from .conftest import World

ODD = [
    "select",
    "Order",
    "1st",
    "5",
    "a b",
    "a`b",
    'a"b',
    "a'b",
    "a\\b",
    "100%",
    "%s",
    "%%(x)s",
    "a?b",
    ":a",
    "$1",
    "a.b",
]
ODD += ["{x}", "a;b", "--", "/*", "日本語", "Ünï", "x" * 64, "é" * 63 + "x", "S3RS_zero_dates", "s3rs_null_dates_null"]
ODD += ["partner_ID", "user", "CamelCase", "a\tb", "a\nb"]


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def test_columns_of_any_name(world: World) -> None:
    columns = [f"{quoted(name)} {('DATE', 'DECIMAL(9,2)', 'VARCHAR(9)', 'TIME')[i % 4]}" for i, name in enumerate(ODD)]
    values = [("2026-01-31", "1.10", "ü", "-00:00:01")[i % 4] for i in range(len(ODD))]
    fill(world, columns, [])
    marks = ", ".join(["%s"] * (len(ODD) + 2))
    world.execute(f"INSERT INTO t VALUES ({marks})", [[1, "2026-01-01", *values], [2, "2026-01-01", *values]])
    world.sync_one("t")
    assert assert_exact(world).values == 2 * (len(ODD) + 2)
    world.execute("UPDATE t SET update_at = '2026-01-02', `100%` = NULL")
    world.sync_one("t")
    assert assert_exact(world).values == 2 * (len(ODD) + 1)


@pytest.mark.parametrize("name", ["order", "1st-table", "a`b\"c'd", "100%", "日本語", "é" * 63 + "x", "Mixed.Case"])
def test_tables_of_any_name(world: World, name: str) -> None:
    world.execute(f"CREATE TABLE {quoted(name)} (id INT PRIMARY KEY, update_at DATETIME NOT NULL)")
    world.execute(f"INSERT INTO {quoted(name)} VALUES (1, '2026-01-02'), (2, '2026-01-02')")
    assert world.sync_one(name).rows_loaded == 2
    target = '"' + name.lower().replace('"', '""') + '"'
    with world.warehouse.cursor() as cursor:
        cursor.execute(f'SELECT count(*) FROM "{world.schema}".{target}'.encode())
        assert cursor.fetchall() == [(2,)]


def test_generated_and_invisible_columns_and_a_key_of_reserved_words(world: World) -> None:
    world.execute(
        "CREATE TABLE t (id INT, `Select` INT, n DECIMAL(9,2), twice DECIMAL(9,2) AS (n * 2) VIRTUAL,"
        " kept VARCHAR(20) AS (CONCAT(n, '!')) PERSISTENT, hidden INT INVISIBLE DEFAULT 7,"
        " update_at DATETIME NOT NULL, PRIMARY KEY (`Select`, id))"
    )
    world.execute(
        "INSERT INTO t (id, `Select`, n, update_at) VALUES (1, 2, 1.10, '2026-01-02'), (2, 2, NULL, '2026-01-02')"
    )
    world.sync_one("t")
    assert assert_exact(world).values == 2 * 7 - 3
    assert world.target_rows("t", "twice, kept, hidden", "WHERE id = 1")[0][1:] == ("1.10!", 7)


def test_a_system_versioned_table_is_carried_as_it_is_now(world: World) -> None:
    world.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, n INT, update_at DATETIME NOT NULL, KEY (update_at))"
        " WITH SYSTEM VERSIONING"
    )
    world.execute("INSERT INTO t VALUES (1, 1, '2026-01-01'), (2, 2, '2026-01-01')")
    world.execute("UPDATE t SET n = 3 WHERE id = 1")
    world.execute("DELETE FROM t WHERE id = 2")
    assert world.sync_one("t").rows_loaded == 1
    assert_exact(world)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["oid"], "column oid (int(11)): the name belongs to a system column"),
        (["CTID"], "column CTID (int(11)): the name belongs to a system column"),
        (["包" * 43], "the name has 129 bytes; Redshift's longest has 127"),
        (["İ", "i\u0307"], "another column is called i\u0307 in Redshift too"),
    ],
)
def test_columns_redshift_cannot_have_are_refused_before_any_work(world: World, names: list[str], said: str) -> None:
    fill(world, [f"{quoted(name)} INT" for name in names], [list(range(len(names)))])
    (result,) = world.sync("t")
    assert result.status is Status.FAILED
    assert said in result.error
    assert f"exclude: [{', '.join(names)}]" in result.hint
    assert not world.ledger().load(world.name("t")).run


def test_a_table_whose_name_is_too_long_is_refused(world: World) -> None:
    world.execute(f"CREATE TABLE `{'包' * 43}` (id INT PRIMARY KEY, update_at DATETIME NOT NULL)")
    (result,) = world.sync("包" * 43)
    assert "129 bytes" in result.error


def test_two_tables_that_are_one_in_redshift_are_refused(world: World) -> None:
    for name in ("Parcels", "parcels"):
        world.execute(f"CREATE TABLE `{name}` (id INT PRIMARY KEY, update_at DATETIME NOT NULL)")
        world.execute(f"INSERT INTO `{name}` VALUES (1, '2026-01-02')")
    for name in ("Parcels", "parcels"):
        (result,) = world.sync(name)
        assert "are one table in Redshift" in result.error
