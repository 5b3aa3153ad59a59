"""Every MySQL type end to end: MySQL -> Parquet -> COPY -> SELECT, at its limits, at random values, and NULL."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import math
import struct
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st
from pydantic import SecretStr

from s3rs_ray.policies import GeometryForm
from tests.support.exact import add, assert_exact, examples, fill, target_type

if TYPE_CHECKING:
    from .conftest import World

BITS = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 24, "INT": 32, "BIGINT": 64}


def test_integers(world: World) -> None:
    columns, strategies, low, high = ["one TINYINT(1)"], [st.integers(-128, 127)], [-128], [127]
    for name, bits in BITS.items():
        columns += [f"s_{name} {name}", f"u_{name} {name} UNSIGNED", f"z_{name} {name}(3) ZEROFILL"]
        ranges = [(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1), (0, 2**bits - 1), (0, 2**bits - 1)]
        strategies += [st.integers(a, b) for a, b in ranges]
        low += [a for a, _ in ranges]
        high += [b for _, b in ranges]
    rows = examples(st.tuples(*(st.none() | s for s in strategies)), 800)
    nulls = [None] * len(columns)
    fill(world, columns, [low, high, nulls, [0] * len(columns), [2] * len(columns), *rows])
    world.sync_one("t")
    assert assert_exact(world).values > 6000
    assert target_type(world, "one") == "smallint"
    assert target_type(world, "u_bigint") == "numeric(20,0)"


def decimal_values(precision: int, scale: int) -> list[Decimal | None]:
    """The limits, the smallest steps around zero, and digits that are all different."""
    digits = ("1234567890" * 7)[:precision]
    texts = ("9" * precision, "-" + "9" * precision, "1", "-1", "0", digits, "-" + digits)
    return [*(Decimal(f"{text}E-{scale}") for text in texts), None]


def test_decimals_of_every_precision_and_scale(world: World) -> None:
    pairs = [(p, s) for p in range(1, 66) for s in range(min(p, 38) + 1)]
    assert len(pairs) == 1832
    tables = []
    for number, group in enumerate(batches(pairs)):
        rows = list(zip(*(decimal_values(p, s) for p, s in group), strict=True))
        fill(world, [f"d_{p}_{s} DECIMAL({p},{s})" for p, s in group], rows, f"t{number}")
        tables.append(f"t{number}")
    for result in world.sync(*tables):
        assert not result.error, result
    assert sum(assert_exact(world, table).values for table in tables) >= 1832 * 7
    assert target_type(world, "d_19_4", "t0") == "numeric(20,4)"
    assert target_type(world, "d_18_4", "t0") == "numeric(18,4)"
    assert target_type(world, "d_38_37", "t3") == "numeric(38,37)"
    assert target_type(world, "d_38_38", "t3") == "character varying(41)"
    assert target_type(world, "d_65_30", "t7") == "character varying(67)"


def batches(pairs: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    return [pairs[i : i + 230] for i in range(0, len(pairs), 230)]


def test_decimals_at_random(world: World) -> None:
    kinds = [(10, 2), (18, 6), (19, 0), (19, 4), (20, 10), (30, 5), (38, 0), (38, 30), (40, 10), (65, 30)]

    def values(p: int, s: int) -> st.SearchStrategy[Decimal | None]:
        return st.none() | st.integers(-(10**p) + 1, 10**p - 1).map(lambda i: Decimal(f"{i}E-{s}"))

    columns = [f"d_{p}_{s} DECIMAL({p},{s})" for p, s in kinds] + ["z DECIMAL(12,3) ZEROFILL"]
    strategies = [values(p, s) for p, s in kinds] + [st.integers(0, 10**12 - 1).map(lambda i: Decimal(f"{i}E-3"))]
    fill(world, columns, examples(st.tuples(*strategies), 800))
    world.sync_one("t")
    assert assert_exact(world).values > 3000


DOUBLES = [0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -1.7976931348623157e308, 0.1]
FLOATS = [0.0, -0.0, 1e-45, -1e-45, 1.1754943508222875e-38, 3.4028234663852886e38, -3.4028234663852886e38, 0.1]


def test_floating_point_numbers(world: World) -> None:
    def text(value: float | None) -> str:
        return "NULL" if value is None else f"{value!r}e0" if "e" not in repr(value) else repr(value)

    single = st.floats(width=32, allow_nan=False, allow_infinity=False)
    double = st.floats(allow_nan=False, allow_infinity=False)
    drawn = examples(st.tuples(st.none() | single, st.none() | double), 1000)
    pairs = [*zip(FLOATS, DOUBLES, strict=True), (None, None), *drawn]
    world.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, update_at DATETIME NOT NULL, f FLOAT, d DOUBLE, u FLOAT UNSIGNED,"
        " m FLOAT(7,4), n DOUBLE(20,5), r REAL, KEY (update_at))"
    )
    rows = [
        f"({i}, '2026-01-01', {text(f)}, {text(d)}, {text(None if f is None else abs(f))},"
        f" {text(f and math.fmod(f, 999))}, {text(d and math.fmod(d, 1e9))}, {text(d)})"
        for i, (f, d) in enumerate(pairs)
    ]
    world.execute("INSERT INTO t VALUES " + ", ".join(rows))
    world.sync_one("t")
    assert_exact(world)
    kept = world.target_rows("t", "CAST(f AS DOUBLE PRECISION), d", "WHERE id < 8 ORDER BY id")
    assert [d for _, d in kept] == DOUBLES
    assert [target_type(world, c) for c in "fumdn"] == ["real"] * 3 + ["double precision"] * 2
    assert [f for f, _ in kept] == [struct.unpack(">f", struct.pack(">f", f))[0] for f in FLOATS]


def test_bits_of_every_width(world: World) -> None:
    widths = range(1, 65)
    strategies = [st.none() | st.integers(0, 2**n - 1) for n in widths]
    rows = [[0] * 64, [2**n - 1 for n in widths], [2 ** (n - 1) for n in widths], [None] * 64]
    fill(world, [f"b{n} BIT({n})" for n in widths], [*rows, *examples(st.tuples(*strategies), 200)])
    world.sync_one("t")
    assert_exact(world)
    assert world.target_rows("t", "b1, b63, b64", "WHERE id = 2") == [(1, 2**63 - 1, 2**64 - 1)]


FIRST, LAST = dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999999)


def test_dates_and_datetimes(world: World) -> None:
    columns = ["d DATE", *(f"t{n} DATETIME({n})" for n in range(7))]
    moments = st.none() | st.datetimes(FIRST, LAST)
    limits = [FIRST, LAST, dt.datetime(1582, 10, 10, 12), dt.datetime(2024, 2, 29, 23, 59, 59, 999999), None]
    rows = [cut(m) for m in [*limits, *examples(moments, 1000)]]
    fill(world, columns, rows)
    world.sync_one("t")
    assert assert_exact(world).values > 3000
    assert world.target_rows("t", "t6", "WHERE id = 2") == [(LAST,)]


def cut(moment: dt.datetime | None) -> list[object]:
    """A moment as a DATE and with 0 to 6 digits: MySQL would round, and round 9999 up out of its range."""
    if moment is None:
        return [None] * 8
    return [
        moment.date(),
        *(moment.replace(microsecond=moment.microsecond // 10 ** (6 - n) * 10 ** (6 - n)) for n in range(7)),
    ]


@pytest.mark.parametrize("zone", ["+05:45", "-11:00"])
def test_timestamps_arrive_in_utc_whatever_the_zones(world: World, zone: str) -> None:
    earliest, latest = dt.datetime(1970, 1, 1, 0, 0, 1), dt.datetime(2038, 1, 19, 3, 14, 7)
    moments = [earliest, latest, dt.datetime(2025, 3, 30, 1, 30), dt.datetime(2025, 10, 26, 1, 30), None]
    moments += examples(st.none() | st.datetimes(earliest, latest), 500)
    fill(world, [f"t{n} TIMESTAMP({n}) NULL" for n in range(7)], [cut(m)[1:] for m in moments])
    before = world.source_rows("t", "@@global.time_zone", "LIMIT 1")[0][0]
    world.execute(f"SET GLOBAL time_zone = '{zone}'")
    try:
        world.sync_one("t", world.settings.model_copy(update={"backup_cursor_time_zone": "+00:00"}))
    finally:
        world.execute(f"SET GLOBAL time_zone = '{before}'")
    assert_exact(world)
    assert world.target_rows("t", "t0", "WHERE id <= 3 ORDER BY id") == [(m,) for m in moments[:3]]


def test_times_negative_and_over_a_day(world: World) -> None:
    most = dt.timedelta(hours=838, minutes=59, seconds=59)
    spans = [most, -most, dt.timedelta(0), dt.timedelta(microseconds=-1), dt.timedelta(hours=24), None]
    spans += examples(st.none() | st.timedeltas(-most, most), 1000)
    fill(world, [f"t{n} TIME({n})" for n in range(7)], [[as_time(span, n) for n in range(7)] for span in spans])
    world.execute("UPDATE t SET t6 = '-838:59:59.999999', t3 = '838:59:59.999' WHERE id = 1")
    world.sync_one("t")
    assert_exact(world)
    kept = world.target_rows("t", "t0, t3, t6", "WHERE id <= 2 ORDER BY id")
    assert kept == [(3020399000000, 3020399999000, -3020399999999), (-3020399000000,) * 3]


def as_time(span: dt.timedelta | None, digits: int) -> str | None:
    if span is None:
        return None
    count = abs(span) // dt.timedelta(microseconds=1)
    whole, part = divmod(count, 1_000_000)
    text = f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"
    return ("-" if span < dt.timedelta(0) else "") + text + (f".{part:06}"[: digits + 1] if digits else "")


def test_years(world: World) -> None:
    fill(world, ["y YEAR"], [["0000"], [1901], [2155], [None], *([y] for y in range(1901, 2156))])
    world.sync_one("t")
    assert_exact(world)
    assert world.target_rows("t", "y", "WHERE id = 1") == [(0,)]


CODECS = {
    "utf8mb4": "utf-8",
    "utf8mb3": "utf-8",
    "latin1": "cp1252",
    "gbk": "gbk",
    "ucs2": "utf-8",
    "utf16": "utf-8",
    "utf32": "utf-8",
    "sjis": "cp932",
    "big5": "big5",
    "koi8r": "koi8_r",
    "ascii": "ascii",
    "gb18030": "utf-8",
}
WIDEST = {"utf8mb4": "🚚", "utf8mb3": "包", "latin1": "€", "gbk": "包", "ucs2": "包", "utf16": "🚚", "utf32": "🚚"}
WIDEST |= {"sjis": "ｱ", "big5": "包", "koi8r": "─", "ascii": "~"}
ODD = ["", " ", "a ", " a", "a  ", "'", '"', "\\", "\\n", "\n", "\r\n", "\t", "%s", "\\N", "NULL", "\x01\x1f", ",|;"]


def characters(name: str) -> st.SearchStrategy[str]:
    """Texts of a character set, without NUL bytes."""
    most = 0x10FFFF if name in {"utf8mb4", "utf16", "utf32"} else 0xFFFF
    codec = CODECS[name]
    alphabet = st.characters(codec=codec, min_codepoint=1, max_codepoint=most, exclude_categories=["Cs"])
    chosen = {"gbk": "aZ~ 包裹递送金額。、", "big5": "aZ~ 包裹金額。、", "sjis": "aZ ｱｶﾝ日本語。、"}
    if name in chosen:  # MySQL's tables differ from Python's in some rare characters
        alphabet = st.sampled_from(chosen[name])
    return st.text(alphabet, max_size=30)


@pytest.mark.parametrize("name", sorted(WIDEST))
def test_text_of_every_character_set(world: World, name: str) -> None:
    columns = [f"{c} {kind} CHARACTER SET {name}" for c, kind in (
        ("c", "CHAR(30)"), ("v", "VARCHAR(30)"), ("tiny", "TINYTEXT"), ("x", "TEXT"), ("m", "MEDIUMTEXT"),
        ("l", "LONGTEXT"), ("e", "ENUM('a','b c')"), ("s", "SET('x','y')"))]  # fmt: skip
    texts: list[str | None] = [None, *ODD, WIDEST[name] * 30, *examples(characters(name), 160)]
    rows = [[t, t, t, t, t, t, ("a", "b c", None)[i % 3], ("x,y", "", None)[i % 3]] for i, t in enumerate(texts)]
    fill(world, columns, rows)
    octets = {"utf16": 4, "utf32": 4, "utf8mb4": 4, "ucs2": 2, "utf8mb3": 3, "gbk": 2, "big5": 2}.get(name, 1)
    world.execute("UPDATE t SET tiny = %s WHERE id = 1", [(WIDEST[name] * (255 // octets),)])
    world.sync_one("t")
    assert assert_exact(world).values > 1000
    assert world.target_rows("t", "v", "WHERE id = 2") == [("",)]
    assert world.target_rows("t", "octet_length(v)", "WHERE id = 6") == [(3,)]


def test_text_of_binary_collations_and_sizes_in_bytes(world: World) -> None:
    columns = [
        "a VARCHAR(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "b VARCHAR(50) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin",
        "c VARCHAR(50) CHARACTER SET latin1 COLLATE latin1_bin",
        "d VARCHAR(50) CHARACTER SET ascii",
        "e VARCHAR(21845) CHARACTER SET ascii",
        "f CHAR(0)",
        "g VARCHAR(0)",
        "h TEXT COMPRESSED",
        "i TINYTEXT CHARACTER SET utf16",
        "j TINYTEXT",
    ]
    fill(world, columns, [["ß 🚚", "ß 包", "ß €", "~", "z" * 21845, "", "", "h" * 3000, "包" * 127, "j" * 255]])
    world.sync_one("t")
    assert_exact(world)
    sizes = [target_type(world, c) for c in "abcdefgij"]
    assert sizes == [f"character varying({n})" for n in (200, 150, 150, 50, 21845, 1, 1, 765, 255)]


def test_char_comes_without_padding_whatever_the_servers_mode(world: World) -> None:
    fill(world, ["c CHAR(10)", "v VARCHAR(10)", "b BINARY(4)"], [["a", "a  ", b"a"], ["", "", b""]])
    before = world.source_rows("t", "@@global.sql_mode", "LIMIT 1")[0][0]
    world.execute("SET GLOBAL sql_mode = 'PAD_CHAR_TO_FULL_LENGTH,ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES'")
    try:
        world.sync_one("t")
    finally:
        world.execute(f"SET GLOBAL sql_mode = '{before}'")
    assert_exact(world)
    assert world.target_rows("t", "octet_length(c), octet_length(v), to_hex(b)", "WHERE id = 1") == [(1, 3, "61000000")]


def test_what_the_server_sets_on_every_connection_changes_no_value(world: World) -> None:
    texts = ["ünï €", "包裹 🚚", "a'b\\c"]
    fill(world, ["v VARCHAR(9)", "c CHAR(9)", "s TIMESTAMP NULL"], [[t, t, "2025-06-30 12:00:00"] for t in texts])
    ((before,),) = world.source_rows("t", "@@global.init_connect", "LIMIT 1")
    reader = f"reader_{world.schema}"
    world.execute(f"CREATE USER {reader} IDENTIFIED BY 'x'")  # init_connect spares the users of all privileges
    try:
        world.execute(f"GRANT SELECT ON `{world.schema}`.* TO {reader}")
        world.execute(
            'SET GLOBAL init_connect = \'SET NAMES latin1; SET SESSION time_zone = "-07:00",'
            ' sql_mode = "PAD_CHAR_TO_FULL_LENGTH"\''
        )
        world.sync_one("t", world.settings.model_copy(update={"db_user": reader, "db_password": SecretStr("x")}))
    finally:
        world.execute(f"SET GLOBAL init_connect = '{before}'")
        world.execute(f"DROP USER {reader}")
    assert_exact(world)


def test_binary_values_are_never_decoded(world: World) -> None:
    columns = ["b BINARY(20)", "v VARBINARY(20)", "t TINYBLOB", "l BLOB", "m MEDIUMBLOB", "g LONGBLOB", "z BINARY(0)"]
    values: list[bytes | None] = [b"", b"\0", b"a", b"\xff\xfe'\"\\", bytes(range(20)), "é".encode(), b"a ", b"\\x61"]
    values += [None, *examples(st.none() | st.binary(max_size=20), 1000)]
    fill(world, columns, [[v, v, v, v, v, v, None if v is None else b""] for v in values])
    world.execute("UPDATE t SET l = REPEAT(x'00ff', 32767), g = REPEAT(x'8000', 300000) WHERE id = 1")
    world.sync_one("t")
    assert_exact(world)
    assert world.target_rows("t", "to_hex(b)", "WHERE id = 3") == [("61" + "00" * 19,)]


def test_enums_and_sets(world: World) -> None:
    fill(world, ["e ENUM('a','ünï 🚚','')", "s SET('x','日本','z')", "n ENUM('1','2') CHARACTER SET latin1"], [])
    world.execute("SET SESSION sql_mode = ''")
    world.execute(
        "INSERT INTO t VALUES (1, '2026-01-02', 'a', 'x,日本,z', '1'), (2, '2026-01-02', 'nothing of it', '', 'no'),"
        " (3, '2026-01-02', 'ünï 🚚', 'z,x', NULL), (4, '2026-01-02', NULL, NULL, 2),"
        " (5, '2026-01-02', '', '日本', '2')"
    )
    world.sync_one("t")
    assert_exact(world)
    assert world.target_rows("t", "e, s, n", "WHERE id < 4 ORDER BY id") == [
        ("a", "x,日本,z", "1"),
        ("", "", ""),
        ("ünï 🚚", "x,z", None),
    ]


JSONS = [
    '{"b": 1.10, "a": 1e400, "b": 2}',
    '{ "spaces"  :[ ] }',
    "12345678901234567890.123456789012345678901234567890",
    '"\\u0000 \\ud83d\\ude9a 🚚"',
    "null",
    "{}",
]


def test_json_is_carried_byte_for_byte(world: World) -> None:
    nested = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4).filter(str.isascii), inner),
        max_leaves=6,
    )
    texts: list[Any] = [*JSONS, *(json.dumps(v, ensure_ascii=i % 2 == 0) for i, v in enumerate(examples(nested, 300)))]
    texts = [t for t in texts if "\0" not in t]
    fill(world, ["j JSON"], [[t] for t in texts])
    world.sync_one("t")
    assert_exact(world)
    assert [row[0] for row in world.target_rows("t", "j", "WHERE id <= 6 ORDER BY id")] == JSONS


SHAPES = [
    "POINT(1.1 -2.2)",
    "POINT(1e300 4.9e-324)",
    "LINESTRING(0 0, 0.1 0.2, 1e-7 3)",
    "POLYGON((0 0, 4 0, 4 4, 0 4, 0 0), (1 1, 2 1, 2 2, 1 2, 1 1))",
    "MULTIPOINT((1 2), (3 4))",
    "MULTILINESTRING((0 0, 1 1), (2 2, 3 3))",
    "MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)))",
    "GEOMETRYCOLLECTION(POINT(1 1), LINESTRING(0 0, 1 1))",
]


def test_geometries_keep_every_bit_and_their_reference_system(world: World) -> None:
    columns = ["g GEOMETRY", "p POINT", "c GEOMETRYCOLLECTION"]
    fill(world, columns, [])
    for number, (shape, srid) in enumerate(itertools.product(SHAPES, (0, 4326, 2**31 - 1)), 1):
        point = f"ST_GeomFromText('POINT({number / 7!r} {-number / 3!r})', {srid})"
        world.execute(
            f"INSERT INTO t VALUES ({number}, '2026-01-02', ST_GeomFromText('{shape}', {srid}), {point},"
            f" ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 {number}))'))"
        )
    world.execute("INSERT INTO t VALUES (100, '2026-01-02', NULL, NULL, NULL)")
    world.sync_one("t")
    assert assert_exact(world).values > 3 * 20
    assert world.target_rows("t", "to_hex(p)", "WHERE id = 2")[0][0].startswith("0101000020e6100000")


def test_geometries_as_text(world: World) -> None:
    fill(world, ["g GEOMETRY"], [])
    world.execute(
        "INSERT INTO t VALUES (1, '2026-01-02', ST_GeomFromText('POINT(0.1 1e300)')),"
        " (2, '2026-01-02', ST_GeomFromText('LINESTRING(0 0,1.5 -2)', 4326)), (3, '2026-01-02', NULL)"
    )
    world.sync_one("t", world.settings.model_copy(update={"backup_geometry": GeometryForm.WKT}))
    assert world.target_rows("t", "g", "ORDER BY id") == [
        ("POINT(0.1 1e300)",),
        ("SRID=4326;LINESTRING(0 0,1.5 -2)",),
        (None,),
    ]


def test_uuids_and_addresses(world: World) -> None:
    drawn = examples(st.tuples(st.uuids(version=4), st.ip_addresses(v=4), st.ip_addresses(v=6)), 500)
    rows: list[list[object]] = [[str(u), str(a), str(b)] for u, a, b in drawn]
    rows += [[None] * 3, [str(uuid.UUID(int=0)), "0.0.0.0", "::"]]
    rows += [["ffffffff-ffff-1fff-bfff-ffffffffffff", "255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]]
    fill(world, ["u UUID", "a INET4", "b INET6"], rows)
    world.sync_one("t")
    assert assert_exact(world).values > 2000


def test_a_table_of_nothing_but_nulls(world: World) -> None:
    kinds = (
        "BIGINT UNSIGNED, DECIMAL(19#4), DECIMAL(65#30), FLOAT, BIT(64), DATE, DATETIME(6), TIME(6), TIMESTAMP NULL,"
    )
    kinds += " YEAR, CHAR(3), LONGTEXT, BLOB, ENUM('a'), JSON, GEOMETRY, UUID"
    columns = [f"c{i} {kind.replace('#', ',')}" for i, kind in enumerate(kinds.split(", "))]
    fill(world, columns, [[None] * len(columns)] * 50)
    world.sync_one("t")
    cells = assert_exact(world)
    assert (cells.rows, cells.values) == (50, 100)


def test_a_table_without_rows_is_made_with_the_first_row(world: World) -> None:
    fill(world, ["d DECIMAL(10,2)", "g GEOMETRY"], [])
    assert world.sync_one("t").rows_extracted == 0
    add(world, [["1.10", None]])
    assert world.sync_one("t").rows_loaded == 1
    assert_exact(world)


def test_a_thousand_columns_and_one(world: World) -> None:
    fill(world, [f"c{i} {('INT', 'TINYINT', 'DATE')[i % 3]}" for i in range(998)], [])
    add(world, [[(i * n, i % 100, dt.date(2000 + n, 1, 1 + i % 28))[i % 3] for i in range(998)] for n in range(1, 9)])
    world.sync_one("t")
    assert assert_exact(world).values == 8 * 1000
    world.execute("CREATE TABLE one (update_at DATETIME(6) PRIMARY KEY)")
    world.execute("INSERT INTO one VALUES ('2026-01-01'), ('2026-01-02')")
    assert world.sync_one("one").rows_loaded == 2
    assert world.target_rows("one", "update_at", "ORDER BY 1") == [(dt.datetime(2026, 1, d),) for d in (1, 2)]
