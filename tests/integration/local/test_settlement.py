from __future__ import annotations

import datetime
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from s3rs_ray.errors import LocalStackError
from s3rs_ray.local.mariadb import MariaDB
from s3rs_ray.local.settlement import (
    CLAIM_TABLE,
    DATABASE,
    DELIVERY_TABLE,
    PARTNER_TABLE,
    Change,
    Connection,
    change,
    create_schema,
    fill,
)

ROWS = 20_000
UPTO = datetime.datetime(2026, 3, 1, 12, 0, 0, tzinfo=datetime.UTC)
T = f"`{DATABASE}`.`{DELIVERY_TABLE}`"


def rows(connection: Connection, sql: str) -> tuple[tuple[Any, ...], ...]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return tuple(cursor.fetchall())


def value(connection: Connection, sql: str) -> Any:
    return rows(connection, sql)[0][0]


def empty(connection: Connection) -> None:
    for table in (DELIVERY_TABLE, CLAIM_TABLE, PARTNER_TABLE):
        rows(connection, f"TRUNCATE TABLE `{DATABASE}`.`{table}`")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    with MariaDB(tmp_path_factory.mktemp("m")) as running, running.connect() as connection:
        create_schema(connection)
        yield connection


@pytest.fixture(scope="module")
def _filled_once(server: Connection) -> Change:
    return fill(server, ROWS, seed=7, upto=UPTO)


@pytest.fixture
def filled(server: Connection, _filled_once: Change) -> Connection:
    """Only for reading."""
    return server


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    with MariaDB(tmp_path_factory.mktemp("m")) as running, running.connect() as connection:
        create_schema(connection)
        create_schema(connection)  # it may be there already
        yield connection


def columns(connection: Connection) -> list[tuple[str, str, str]]:
    found = rows(
        connection,
        "SELECT column_name, data_type, is_nullable FROM information_schema.columns "
        f"WHERE table_schema = '{DATABASE}' AND table_name = '{DELIVERY_TABLE}' ORDER BY ordinal_position",
    )
    return [(str(name), str(kind), str(nullable)) for name, kind, nullable in found]


def test_the_shape_of_the_delivery_table(filled: Connection) -> None:
    found = columns(filled)
    assert len(found) == 51
    assert [kind for _, kind, _ in found].count("decimal") == 14
    assert value(filled, f"SELECT COUNT(*) FROM {T}") == ROWS
    length = value(
        filled,
        f"SELECT avg_row_length FROM information_schema.tables WHERE table_schema = '{DATABASE}' "
        f"AND table_name = '{DELIVERY_TABLE}'",
    )
    assert 280 < length < 400


def test_ids_have_gaps_and_every_nullable_column_has_both(filled: Connection) -> None:
    assert value(filled, f"SELECT MAX(ID) - MIN(ID) FROM {T}") > 3 * ROWS
    counts = ", ".join(f"COUNT(`{name}`)" for name, _, _ in columns(filled))
    for (name, _, nullable), count in zip(columns(filled), rows(filled, f"SELECT {counts} FROM {T}")[0], strict=True):
        assert (0 < count < ROWS) if nullable == "YES" else (count == ROWS), name


def test_values_go_to_the_limits(filled: Connection) -> None:
    nines = "9" * 38
    assert value(filled, f"SELECT MAX(ledger_units) FROM {T}") == Decimal(nines)
    assert value(filled, f"SELECT MIN(accrued_amount) FROM {T}") == Decimal(f"-{nines[:28]}.{nines[:10]}")
    assert value(filled, f"SELECT MAX(batch_no) FROM {T}") == 2**64 - 1
    assert value(filled, f"SELECT MAX(attempt_count) FROM {T}") == 255
    assert value(filled, f"SELECT MAX(is_returned) FROM {T}") == 2
    assert value(filled, f"SELECT MAX(promised_at) FROM {T}") == datetime.datetime(9999, 12, 31, 23, 59, 59)
    assert value(filled, f"SELECT MAX(LENGTH(recipient_note)) FROM {T}") > 2000
    for text in ("remark = ''", "remark LIKE '%   '", "remark LIKE '%\n%'", "remark LIKE '%🔔%'", "remark LIKE '%''%'"):
        assert value(filled, f"SELECT COUNT(*) FROM {T} WHERE {text}") > 0, text


def test_sums_of_floating_point_columns_do_not_depend_on_the_order(filled: Connection) -> None:
    for name in ("latitude", "longitude", "volume_l"):
        # + 0e0: the server writes a FLOAT as text with six digits.
        values = [float(row[0]) for row in rows(filled, f"SELECT {name} + 0e0 FROM {T} WHERE {name} IS NOT NULL")]
        assert sum(values) == sum(sorted(values))
        assert len(set(values)) > 1000


def test_update_times_have_ties_and_lie_in_their_window(filled: Connection) -> None:
    oldest, newest = rows(filled, f"SELECT MIN(update_at), MAX(update_at) FROM {T}")[0]
    assert UPTO.replace(tzinfo=None) - datetime.timedelta(days=60) <= oldest
    assert newest <= UPTO.replace(tzinfo=None)
    ties = rows(filled, f"SELECT COUNT(*) AS n FROM {T} GROUP BY update_at ORDER BY n DESC LIMIT 3")
    assert all(count > ROWS // 50 for (count,) in ties)
    assert value(filled, f"SELECT COUNT(*) FROM {T} WHERE update_at < created_at") < ROWS // 50


def test_claims_and_partners_belong_to_the_deliveries(filled: Connection) -> None:
    claims, partners = f"`{DATABASE}`.`{CLAIM_TABLE}`", f"`{DATABASE}`.`{PARTNER_TABLE}`"
    assert value(filled, f"SELECT COUNT(*) FROM {claims}") == ROWS // 20
    assert value(filled, f"SELECT COUNT(*) FROM {partners}") == 500
    assert value(filled, f"SELECT COUNT(*) FROM {T} LEFT JOIN {partners} p USING (partner_id) WHERE p.ID IS NULL") == 0
    assert value(filled, f"SELECT COUNT(*) FROM {T} t JOIN {partners} p ON p.partner_name = t.partner_name") > ROWS / 2


def test_the_same_seed_gives_the_same_rows(fresh: Connection) -> None:
    checksums = []
    for seed in (3, 3, 4):
        empty(fresh)
        fill(fresh, 2000, seed, upto=UPTO)
        tables = (f"`{DATABASE}`.`{table}`" for table in (DELIVERY_TABLE, CLAIM_TABLE, PARTNER_TABLE))
        checksums.append([row[1] for row in rows(fresh, f"CHECKSUM TABLE {', '.join(tables)}")])
    assert checksums[0] == checksums[1]
    assert not set(checksums[0]) & set(checksums[2])


def test_filling_again_adds_rows(fresh: Connection) -> None:
    fill(fresh, 1500, seed=1)
    highest = value(fresh, f"SELECT MAX(ID) FROM {T}")
    fill(fresh, 500, seed=1)
    assert value(fresh, f"SELECT COUNT(*) FROM {T} WHERE ID > {highest}") == 500
    assert value(fresh, f"SELECT COUNT(*) FROM {T}") == 2000


def test_without_a_time_rows_are_older_than_some_minutes(fresh: Connection) -> None:
    fill(fresh, 100)
    assert value(fresh, f"SELECT MAX(update_at) <= UTC_TIMESTAMP() - INTERVAL 9 MINUTE FROM {T}") == 1
    changed = change(fresh, 10, 20)
    assert value(fresh, f"SELECT MAX(update_at) <= UTC_TIMESTAMP() - INTERVAL 19 SECOND FROM {T}") == 1
    assert (changed.inserted, changed.updated) == (10, 20)


def test_a_change_touches_the_rows_it_says_and_no_other(fresh: Connection) -> None:
    fill(fresh, 5000, upto=UPTO)
    everything = f"SELECT * FROM {T} ORDER BY ID"
    place = [name for name, _, _ in columns(fresh)].index("update_at")
    before = {row[0]: row for row in rows(fresh, everything)}
    for seed in (1, 2):
        newest = max(row[place] for row in before.values())
        changed = change(fresh, inserts=300, updates=400, seed=seed, upto=UPTO + datetime.timedelta(hours=1))
        after = {row[0]: row for row in rows(fresh, everything)}
        touched = [row for key, row in after.items() if before.get(key) != row]
        assert len(after) - len(before) == changed.inserted == 300
        assert len(touched) == changed.inserted + changed.updated == 700
        times = [row[place].replace(tzinfo=datetime.UTC) for row in touched]
        assert newest.replace(tzinfo=datetime.UTC) < changed.after == min(times)
        assert max(times) <= changed.upto
        assert times.count(changed.after) >= 200  # the bulk update
        assert all(set(zip(before[row[0]], row, strict=True)) for row in touched if row[0] in before)
        before = after


def test_at_most_the_rows_there_are_can_be_updated(fresh: Connection) -> None:
    fill(fresh, 50, upto=UPTO)
    assert change(fresh, 0, 1000, upto=UPTO + datetime.timedelta(hours=1)).updated == 50


def test_a_change_needs_rows_and_time(fresh: Connection) -> None:
    with pytest.raises(LocalStackError, match="is empty"):
        change(fresh, 1, 1)
    fill(fresh, 50, upto=UPTO)
    with pytest.raises(LocalStackError, match="a change has to lie before") as refused:
        change(fresh, 1, 1, upto=UPTO - datetime.timedelta(days=1))
    assert "upto" in refused.value.hint
