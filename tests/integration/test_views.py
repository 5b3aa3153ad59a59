"""The latest-status views on real rows: against what Python makes of the same rows, and over the life of a table."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from s3rs_ray.config import Settings
from s3rs_ray.engine.loading import open_session
from s3rs_ray.engine.views import Applied, apply_views, show_views
from s3rs_ray.errors import ConfigError, PlanError, SchemaDrift
from s3rs_ray.policies import Mode
from s3rs_ray.table_settings import TableSettings
from s3rs_ray.view_settings import ViewSettings

from .test_cli import s3rs

if TYPE_CHECKING:
    from .conftest import World

COLUMNS = (
    "(id BIGINT PRIMARY KEY, ant_parcel_no VARCHAR(20), partner_id INT, latest_status VARCHAR(20),"
    " changed_at DATETIME, update_at DATETIME NOT NULL, KEY (update_at))"
)
PAST = dt.datetime(2026, 1, 1)


class Row(NamedTuple):
    id: int
    parcel: str | None
    partner: int | None
    status: str | None
    changed: dt.datetime | None
    updated: dt.datetime | None


def newest(row: Row, by: str) -> tuple[Any, ...]:
    """What the newest row has the greatest of; None is the least."""
    values = (getattr(row, by), row.updated, row.id)
    return tuple((v is not None, v) if v is not None else (False,) for v in values)


def latest(rows: Iterable[Row], by: str, of: str) -> dict[Any, Row]:
    found: dict[Any, Row] = {}
    for row in rows:
        name = getattr(row, of)
        if name not in found or newest(row, by) > newest(found[name], by):
            found[name] = row
    return found


def versions(count: int) -> list[Row]:
    """Many versions of few parcels, with ties and NULLs everywhere, and names that differ in a trailing blank."""
    draw = random.Random(7)
    moments = [None, *(PAST + dt.timedelta(seconds=i) for i in range(8))]
    parcels = [None, "", " ", "p", "p ", "P", "q", "包", *(f"p{i}" for i in range(20))]
    statuses = [None, "", "open", "open ", "closed"]
    made: dict[tuple[int, dt.datetime | None], Row] = {}
    while len(made) < count:
        row = Row(
            draw.randrange(200), draw.choice(parcels), draw.choice([None, 1, 2, 3]), draw.choice(statuses),
            draw.choice(moments), draw.choice(moments),
        )  # fmt: skip
        made.setdefault((row.id, row.updated), row)
    return list(made.values())


def with_views(world: World, mode: Mode = Mode.APPEND, **given: Any) -> Settings:
    own = TableSettings(mode=mode, views=ViewSettings(**given) if given else None)
    return world.settings.model_copy(update={"tables": {f"{world.schema}.t": own}})


def make(world: World, settings: Settings) -> None:
    """A target of one row, by the product."""
    world.execute(f"CREATE TABLE t {COLUMNS}")
    world.execute("INSERT INTO t VALUES (1, 'first', 1, 'open', '2025-01-01', '2025-01-01')")
    world.sync_one("t", settings)


def read(world: World, view: str) -> list[tuple[Any, ...]]:
    return sorted(world.target_rows(view, "*"), key=repr)


@pytest.mark.parametrize("by", ["updated", "changed"])
def test_the_views_show_what_python_finds_in_the_same_rows(world: World, by: str) -> None:
    given: dict[str, Any] = {
        "entity": "ant_parcel_no",
        "group": "partner_id",
        "status": "latest_status",
        "updated": "changed_at",
    }
    settings = with_views(world, **given) if by == "changed" else with_views(world)
    make(world, settings)
    rows = versions(600)
    with open_session(settings) as warehouse:
        warehouse.execute(f'DELETE FROM "{world.schema}"."t"')
        marks = ", ".join(["(%s, %s, %s, %s, %s, %s)"] * len(rows))
        values = [value for row in rows for value in row]
        warehouse.execute(f'INSERT INTO "{world.schema}"."t" VALUES {marks}', values)
    assert [what for _, what in apply_views(settings, world.name("t"))] == [Applied.CREATED] * 3

    parcels = latest((r for r in rows if r.parcel is not None), by, "parcel").values()
    shown = read(world, "t_latest_delivery_status")
    assert shown == sorted(((*r, getattr(r, by)) for r in parcels), key=repr)
    assert len({r.parcel for r in parcels}) == len(parcels) == 27

    partners = latest(parcels, by, "partner").values()
    expected = [(r.partner, r.status, getattr(r, by), r.parcel) for r in partners]
    assert read(world, "t_partner_latest_status") == sorted(expected, key=repr)

    summary = []
    for status in {r.status for r in parcels}:
        members = [r for r in parcels if r.status == status]
        times = [t for r in members if (t := getattr(r, by)) is not None]
        summary.append((status, len(members), min(times, default=None), max(times, default=None)))
    assert read(world, "t_status_summary") == sorted(summary, key=repr)


@pytest.mark.parametrize(("mode", "kept"), [(Mode.APPEND, 6), (Mode.MERGE, 2)])
def test_what_was_synced_is_one_row_for_each_parcel(world: World, mode: Mode, kept: int) -> None:
    settings = with_views(world, mode)
    make(world, settings)
    world.execute("INSERT INTO t VALUES (2, 'second', 1, 'open', NULL, '2025-01-02')")
    world.sync_one("t", settings)
    for status in ("moving", "closed"):
        world.execute(f"UPDATE t SET latest_status = '{status}', update_at = update_at + INTERVAL 2 DAY WHERE id = 1")
        world.execute("UPDATE t SET update_at = update_at + INTERVAL 2 DAY WHERE id = 2")
        world.sync_one("t", settings)
    assert world.target_rows("t") == [(kept,)]
    apply_views(settings, world.name("t"))
    rows = world.target_rows("t_latest_delivery_status", "ant_parcel_no, latest_status, last_status_update_at")
    assert sorted(rows) == [
        ("first", "closed", dt.datetime(2025, 1, 5)),
        ("second", "open", dt.datetime(2025, 1, 6)),
    ]
    assert world.target_rows("t_partner_latest_status", "partner_id, ant_parcel_no") == [(1, "second")]


def test_a_second_apply_keeps_privileges_and_a_new_column_makes_the_view_anew(world: World) -> None:
    settings = with_views(world)
    make(world, settings)
    apply_views(settings, world.name("t"))
    user, view = f"reader_{world.schema}", f'"{world.schema}"."t_latest_delivery_status"'
    allowed = f"SELECT has_table_privilege('{user}', '{world.schema}.t_latest_delivery_status', 'SELECT')".encode()
    with world.warehouse.cursor() as cursor:
        cursor.execute(f"CREATE USER {user} PASSWORD DISABLE".encode())
        cursor.execute(f"GRANT SELECT ON {view} TO {user}".encode())
        assert [what for _, what in apply_views(settings, world.name("t"))] == [Applied.REPLACED] * 3
        assert cursor.execute(allowed).fetchall() == [(True,)]

        world.execute("ALTER TABLE t ADD COLUMN weight DECIMAL(9,2)")
        world.execute("UPDATE t SET weight = 1.5, update_at = '2025-02-01'")
        world.sync_one("t", settings)
        assert world.target_rows("t_latest_delivery_status", "last_status_update_at") == [(dt.datetime(2025, 2, 1),)]
        done = [what for _, what in apply_views(settings, world.name("t"))]
        assert done == [Applied.RECREATED, Applied.REPLACED, Applied.REPLACED]
        assert [str(row[0]) for row in world.target_rows("t_latest_delivery_status", "weight")] == ["1.50"]
        assert cursor.execute(allowed).fetchall() == [(False,)]
        cursor.execute(f"DROP USER {user}".encode())


def test_the_views_outlive_their_table(world: World) -> None:
    settings = with_views(world)
    make(world, settings)
    apply_views(settings, world.name("t"))
    with world.warehouse.cursor() as cursor:
        cursor.execute(f'CREATE TABLE "{world.schema}"."new" (LIKE "{world.schema}"."t")'.encode())
        cursor.execute("BEGIN")
        cursor.execute(f'DROP TABLE "{world.schema}"."t"'.encode())
        cursor.execute(f'ALTER TABLE "{world.schema}"."new" RENAME TO "t"'.encode())
        cursor.execute("COMMIT")
    assert world.target_rows("t_latest_delivery_status") == [(0,)]


def test_other_names_and_another_schema(world: World) -> None:
    reports = f"{world.schema}_reports"
    names: dict[str, Any] = {"target_schema": reports, "latest_name": "Now", "summary_name": 'by "state"'}
    settings = with_views(world, entity="ID", status="latest_status", status_as="state", **names)
    make(world, settings)
    assert [what for _, what in apply_views(settings, world.name("t"))] == [Applied.CREATED] * 2
    with world.warehouse.cursor() as cursor:
        assert cursor.execute(f'SELECT id, state FROM "{reports}"."now"'.encode()).fetchall() == [(1, "open")]
        cursor.execute(f'SELECT state, entity_count FROM "{reports}"."by ""state"""'.encode())
        assert cursor.fetchall() == [("open", 1)]
        cursor.execute(f'DROP SCHEMA "{reports}" CASCADE'.encode())


def test_what_is_in_the_way_is_not_touched(world: World) -> None:
    settings = with_views(world)
    make(world, settings)
    with world.warehouse.cursor() as cursor:
        cursor.execute(f'CREATE TABLE "{world.schema}"."t_status_summary" (a INT)'.encode())
        with pytest.raises(ConfigError, match='"t_status_summary" is a table, not a view') as refused:
            apply_views(settings, world.name("t"))
        assert "`summary_name`" in refused.value.hint
        cursor.execute(f'DROP TABLE "{world.schema}"."t_status_summary"'.encode())
        cursor.execute(f'CREATE VIEW "{world.schema}"."t_status_summary" AS SELECT 1 AS a'.encode())
    with pytest.raises(ConfigError, match="is a view that this program did not make"):
        apply_views(settings, world.name("t"))
    assert world.target_rows("t_status_summary", "*") == [(1,)]
    for_nothing = "FROM pg_views WHERE viewname = 't_latest_delivery_status'"
    with world.warehouse.cursor() as cursor:
        cursor.execute(f"SELECT count(*) {for_nothing} AND schemaname = '{world.schema}'".encode())
        assert cursor.fetchall() == [(0,)]


def test_a_table_that_was_never_extracted_or_loaded_is_said(world: World) -> None:
    settings = with_views(world)
    with pytest.raises(PlanError, match="was never extracted") as refused:
        show_views(settings, world.name("t"))
    assert "sync -t" in refused.value.hint
    world.execute(f"CREATE TABLE t {COLUMNS}")
    world.execute("INSERT INTO t VALUES (1, 'first', 1, 'open', '2025-01-01', '2025-01-01')")
    world.sync_one("t", settings, load=False)
    with pytest.raises(SchemaDrift, match='"t" is not there'):
        apply_views(settings, world.name("t"))
    world.sync_one("t", settings)
    world.execute("ALTER TABLE t ADD COLUMN more INT")
    world.execute("UPDATE t SET more = 1, update_at = '2025-02-01'")
    world.sync_one("t", settings, load=False)
    with pytest.raises(SchemaDrift, match="has no column more"):
        apply_views(settings, world.name("t"))


def test_the_commands(world: World, tmp_path: Path) -> None:
    make(world, with_views(world))
    file = tmp_path / "s.yaml"
    name = f"{world.schema}.t"
    file.write_text(f"tables: {{{name}: {{mode: append, views: {{entity: ant_parcel_no, status: latest_status}}}}}}\n")
    options = ("-t", name, "--config-file", str(file))
    unreachable = {"REDSHIFT_HOST": "127.0.0.1", "REDSHIFT_PORT": "1", "REDSHIFT_PASSWORD": ""}
    shown = s3rs(world, "views", "show", *options, "-o", "json", change=unreachable)
    assert shown.returncode == 0, shown.stderr
    document = json.loads(shown.stdout)
    assert [v["view"] for v in document["views"]] == [f"{name}_latest_delivery_status", f"{name}_status_summary"]
    text = s3rs(world, "views", "show", *options, change=unreachable).stdout
    assert text == "".join(v["sql"] + ";\n\n" for v in document["views"])
    with world.warehouse.cursor() as cursor:  # what is printed can be run
        cursor.execute(document["views"][0]["sql"].encode())

    applied = s3rs(world, "views", "apply", *options, "-o", "json")
    assert applied.returncode == 0, applied.stderr
    assert [(v["kind"], v["status"]) for v in json.loads(applied.stdout)["views"]] == [
        ("latest", "replaced"),
        ("summary", "created"),
    ]
