"""``verify`` in every type of the type table: no untouched value is accused, the least change of any is found."""

from __future__ import annotations

import datetime as dt
import math
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st

from s3rs_ray.engine.compare import Asked
from s3rs_ray.engine.differences import TableComparison
from s3rs_ray.engine.verify import verify
from s3rs_ray.source.types import _RULES, GEOMETRY_TYPES
from tests.support.exact import examples, fill

from .test_types import BITS, DOUBLES, FIRST, FLOATS, LAST, ODD, SHAPES, as_time, cut, decimal_values

if TYPE_CHECKING:
    from .conftest import World

EVERY: list[tuple[str, str, str]] = [
    # definition, value at the source, what the warehouse holds after the least damage
    ("TINYINT(1)", "2", "1"),
    ("TINYINT UNSIGNED", "255", "254"),
    ("SMALLINT", "-32768", "-32767"),
    ("MEDIUMINT UNSIGNED ZEROFILL", "7", "8"),
    ("INT", "2147483647", "2147483646"),
    ("BIGINT", "-9223372036854775808", "-9223372036854775807"),
    ("BIGINT UNSIGNED", "18446744073709551615", "18446744073709551614"),
    ("DECIMAL(10,2)", "-0.01", "0.01"),
    ("DECIMAL(19,4)", "999999999999999.9999", "999999999999999.9998"),
    ("DECIMAL(38,30)", "12345678.000000000000000000000000000001", "12345678"),
    ("DECIMAL(65,30)", "1e-30", "'0.000000000000000000000000000002'"),
    ("FLOAT", "0.1", "CAST('0.10000001' AS REAL)"),
    ("FLOAT(7,4)", "1e-4", "CAST('0.000100000005' AS REAL)"),
    ("DOUBLE", "0.1", "CAST('0.10000000000000002' AS DOUBLE PRECISION)"),
    ("DOUBLE", "-5e-324", "CAST('5e-324' AS DOUBLE PRECISION)"),
    ("DOUBLE", "1.7976931348623157e308", "CAST('1.7976931348623155e308' AS DOUBLE PRECISION)"),
    ("DOUBLE", "1e308", "CAST('NaN' AS DOUBLE PRECISION)"),
    ("DOUBLE(20,5)", "0.00001", "CAST('0.000010000000000000003' AS DOUBLE PRECISION)"),
    ("BIT(1)", "b'1'", "0"),
    ("BIT(64)", "~0", "18446744073709551614"),
    ("YEAR", "0", "1"),
    ("DATE", "'9999-12-31'", "'9999-12-30'"),
    ("DATETIME(6)", "'2026-01-01 00:00:00.000001'", "'2026-01-01 00:00:00.000002'"),
    ("DATETIME", "'0001-01-01'", "'0001-01-01 00:00:00.000001'"),
    ("TIMESTAMP(6) NULL", "'2038-01-19 03:14:07.999999'", "'2038-01-19 03:14:07.999998'"),
    ("TIME(6)", "'-838:59:59.999999'", "-3020399999998"),
    ("CHAR(10)", "'a'", "'a '"),
    ("VARCHAR(9)", "'a '", "'a'"),
    ("VARCHAR(300)", "'A'", "'a'"),
    ("VARCHAR(300)", "'ß'", "'ss'"),
    ("TINYTEXT CHARACTER SET utf16", "'🚚'", "'?'"),
    ("TEXT CHARACTER SET latin1", "'€'", "'\u0080'"),
    ("MEDIUMTEXT CHARACTER SET gbk", "'包'", "'裹'"),
    ("LONGTEXT", "'\u00e9'", "'e\u0301'"),
    ("ENUM('a','b')", "'a'", "'b'"),
    ("SET('x','y')", "'x,y'", "'y,x'"),
    ("JSON", "'{\"a\": 1.10}'", "'{\"a\":1.10}'"),
    ("BINARY(4)", "x'61'", "FROM_HEX('61000020')"),
    ("VARBINARY(9)", "x'61'", "FROM_HEX('6100')"),
    ("TINYBLOB", "x'ff00'", "FROM_HEX('ff')"),
    ("BLOB", "REPEAT(x'00ff',32767)", "FROM_HEX(REPEAT('00ff',16000))"),
    ("MEDIUMBLOB", "REPEAT(x'ff',32000)", "FROM_HEX(REPEAT('ff',31999)||'fe')"),
    ("LONGBLOB", "x''", "FROM_HEX('00')"),
    ("GEOMETRY", "ST_GeomFromText('POINT(1 2)', 4326)", "FROM_HEX('0101000000000000000000F03F0000000000000040')"),
    ("POINT", "ST_GeomFromText('POINT(1 2)')", "FROM_HEX('0101000000000000000000F03F0100000000000040')"),
    ("UUID", "'ffffffff-ffff-1fff-bfff-ffffffffffff'", "'ffffffff-ffff-1fff-bfff-fffffffffffe'"),
    ("INET4", "'1.2.3.4'", "'1.2.3.5'"),
    ("INET6", "'::1'", "'::2'"),
]
SEED = random.randrange(10**6)
NAMES = [f"c{i}" for i in range(1, len(EVERY) + 1)]


def compare(world: World, rows: int = 20) -> TableComparison:
    settings = world.settings.model_copy(update={"backup_batch_size": rows})
    (found,) = verify(settings, Asked(tables=(f"{world.schema}.t",), inline=True))
    return found


def named(found: TableComparison) -> list[tuple[str, str, tuple[str, ...]]]:
    every = [f for result in found.results for f in result.rows]
    return sorted((f.kind.value, f.shown[0], f.columns) for f in every)


def test_every_type_is_in_the_list() -> None:
    listed = {definition.lower().partition("(")[0].split()[0] for definition, _, _ in EVERY}
    assert listed | GEOMETRY_TYPES >= set(_RULES) - {"mediumint", "smallint"}


def test_the_least_damage_in_every_type_is_found_with_row_and_column(world: World) -> None:
    world.execute("SET SESSION sql_mode='ALLOW_INVALID_DATES'")
    columns = ", ".join(f"{name} {definition}" for name, (definition, _, _) in zip(NAMES, EVERY, strict=True))
    world.execute(f"CREATE TABLE t (id INT PRIMARY KEY, update_at DATETIME NOT NULL, {columns}, KEY (update_at))")
    values = ", ".join(value for _, value, _ in EVERY)
    world.execute(f"INSERT INTO t SELECT seq, '2026-01-01', {values} FROM seq_1_to_{3 * len(EVERY)}")
    nothing = ", ".join("NULL" for _ in EVERY)
    world.execute(f"INSERT INTO t VALUES (1000, '2026-01-01', {nothing})")
    world.sync_one("t")
    untouched = compare(world)
    assert (untouched.equal, sum(untouched.counts.values()), untouched.source_rows) == (True, 0, 3 * len(EVERY) + 1)
    expected: list[tuple[str, str, tuple[str, ...]]] = []
    for number, (name, (_, _, damaged)) in enumerate(zip(NAMES, EVERY, strict=True), 1):
        for row, value in ((number, damaged), (len(EVERY) + number, "NULL")):
            world.warehouse.execute(f'UPDATE "{world.schema}"."t" SET {name} = {value} WHERE id = {row}'.encode())
            expected.append(("changed", str(row), (name,)))
    others = random.Random(SEED).sample(range(2 * len(EVERY) + 1, 3 * len(EVERY) + 1), 12)
    target = f'"{world.schema}"."t"'
    for kind, rows in (("missing", others[:4]), ("twice", others[4:8]), ("extra", others[8:])):
        chosen = f"WHERE id IN ({', '.join(map(str, rows))})"
        if kind == "extra":
            world.execute(f"DELETE FROM t {chosen}")
        else:
            verb = "DELETE FROM" if kind == "missing" else f"INSERT INTO {target} SELECT * FROM"
            world.warehouse.execute(f"{verb} {target} {chosen}".encode())
        expected += [(kind, str(row), ()) for row in rows]
    assert named(compare(world)) == sorted(expected), f"seed {SEED}"


@pytest.mark.parametrize("kind", ["VARCHAR(9)", "VARCHAR(90)", "TEXT", "VARBINARY(9)", "VARBINARY(90)", "BLOB"])
def test_null_and_empty_are_two_values(world: World, kind: str) -> None:
    fill(world, [f"v {kind}"], [[None], [""], [None], [""]])
    world.sync_one("t")
    empty = "FROM_HEX('')" if "BINARY" in kind or "BLOB" in kind else "''"
    world.warehouse.execute(f'UPDATE "{world.schema}"."t" SET v = {empty} WHERE id = 1'.encode())
    world.warehouse.execute(f'UPDATE "{world.schema}"."t" SET v = NULL WHERE id = 2'.encode())
    assert named(compare(world)) == [("changed", "1", ("v",)), ("changed", "2", ("v",))]


def equal(world: World, rows: int) -> None:
    world.sync_one("t")
    found = compare(world, 300)
    assert not any(found.counts.values()), found.first
    assert (found.source_rows, found.target_rows) == (rows, rows)


def test_binary_numbers_of_every_exponent(world: World) -> None:
    drawn = examples(st.tuples(st.floats(width=32, allow_nan=False, allow_infinity=False),
                               st.floats(allow_nan=False, allow_infinity=False)), 1000)  # fmt: skip
    pairs: list[tuple[float | None, float | None]] = [*zip(FLOATS, DOUBLES, strict=True), (None, None), *drawn]
    for exponent in range(-1074, 1024):
        power = math.ldexp(1.0, exponent)
        pairs += [(power if -149 <= exponent < 128 else None, power), (None, -math.nextafter(power, 0))]

    def text(value: float | None) -> str:
        return "NULL" if value is None else f"{value!r}e0" if "e" not in repr(value) else repr(value)

    world.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, update_at DATETIME NOT NULL, f FLOAT, d DOUBLE, m FLOAT(7,4), n"
        " DOUBLE(20,5), KEY (update_at))"
    )
    rows = [
        f"({i}, '2026-01-01', {text(f)}, {text(d)}, {text(f and math.fmod(f, 999))}, {text(d and math.fmod(d, 1e9))})"
        for i, (f, d) in enumerate(pairs)
    ]
    world.execute("INSERT INTO t VALUES " + ", ".join(rows))
    equal(world, len(pairs))


def test_whole_numbers_and_bits(world: World) -> None:
    columns, strategies, low, high = ["one TINYINT(1)"], [st.integers(-128, 127)], [-128], [127]
    for name, bits in BITS.items():
        columns += [f"s_{name} {name}", f"u_{name} {name} UNSIGNED", f"z_{name} {name}(3) ZEROFILL"]
        low += [-(2 ** (bits - 1)), 0, 0]
        high += [2 ** (bits - 1) - 1, 2**bits - 1, 2**bits - 1]
    columns += [f"b{n} BIT({n})" for n in range(1, 65)] + ["y YEAR"]
    low += [0] * 64 + [1901]
    high += [2**n - 1 for n in range(1, 65)] + [2155]
    strategies = [st.integers(a, b) for a, b in zip(low, high, strict=True)]
    rows = examples(st.tuples(*(st.none() | s for s in strategies)), 200)
    fill(world, columns, [low, high, [None] * len(columns), [*[0] * (len(columns) - 1), "0000"], *rows])
    equal(world, 4 + len(rows))


def test_decimals(world: World) -> None:
    pairs = [(p, s) for p in range(1, 66) for s in range(min(p, 38) + 1)][::9]
    rows = list(zip(*(decimal_values(p, s) for p, s in pairs), strict=True))
    columns = [f"d_{p}_{s} DECIMAL({p},{s})" for p, s in pairs] + [
        "y DECIMAL(12,3) ZEROFILL",
        "z DECIMAL(45,3) ZEROFILL",
    ]
    fill(world, columns, [[*row, 5, 7] for row in rows])
    equal(world, len(rows))


def test_texts_and_binary_values(world: World) -> None:
    unicode = st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), max_size=30)
    sets = {
        "utf8mb4": unicode,
        "utf16": unicode,
        "latin1": st.text(st.characters(codec="cp1252", min_codepoint=1), max_size=30),
        "gbk": st.text("aZ~ 包裹递送金額。、", max_size=30),
        "sjis": st.text("aZ ｱｶﾝ日本語。、", max_size=30),
    }
    kinds = ("CHAR(30)", "VARCHAR(30)", "VARCHAR(9)", "TEXT", "LONGTEXT")
    columns = [f"{name}_{i} {kind} CHARACTER SET {name}" for name in sets for i, kind in enumerate(kinds)]
    columns += [f"b{i} {kind}" for i, kind in enumerate(("BINARY(20)", "VARBINARY(18)", "BLOB", "LONGBLOB"))]
    texts = [[None, *ODD, *examples(st.none() | drawn, 120)] for drawn in sets.values()]
    data = [None, b"", b"\0", *examples(st.none() | st.binary(max_size=18), 160)]
    rows = [
        [*(part for t in row for part in (t, t, t and t[:9], t, t)), *[binary] * 4]
        for *row, binary in zip(*texts, data, strict=False)
    ]
    fill(world, columns, rows)
    world.execute("UPDATE t SET b2 = REPEAT(x'00ff', 32767), b3 = REPEAT(x'8000', 300000) WHERE id = 1")
    equal(world, len(rows))


def test_times_and_shapes(world: World) -> None:
    world.execute("SET SESSION sql_mode='ALLOW_INVALID_DATES'")
    columns = ["d DATE", *(f"t{n} DATETIME({n})" for n in range(7)), *(f"s{n} TIMESTAMP({n}) NULL" for n in range(7))]
    columns += [*(f"c{n} TIME({n})" for n in range(7)), "g GEOMETRY"]
    earliest, latest = dt.datetime(1970, 1, 1, 0, 0, 1), dt.datetime(2038, 1, 19, 3, 14, 7)
    most = dt.timedelta(hours=838, minutes=59, seconds=59)
    moments = [FIRST, LAST, None, *examples(st.none() | st.datetimes(FIRST, LAST), 150)]
    stamps = [earliest, latest, None, *examples(st.datetimes(earliest, latest), 150)]
    spans = [most, -most, None, *examples(st.none() | st.timedeltas(-most, most), 150)]
    rows: list[list[Any]] = [
        [*cut(a), *cut(b)[1:], *(as_time(c, n) for n in range(7)), None]
        for a, b, c in zip(moments, stamps, spans, strict=False)
    ]
    fill(world, columns, rows)
    world.execute("UPDATE t SET d='0000-00-00', t0='2024-02-31', t6='0000-00-00', s3=0 WHERE id=4")
    for number, shape in enumerate(SHAPES, 1):
        world.execute(f"UPDATE t SET g = ST_GeomFromText('{shape}', {number % 2 * 4326}) WHERE id = {number}")
    equal(world, len(rows))
