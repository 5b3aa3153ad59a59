"""Functions whose values the documentation gives: AWS documentation, the page of each function."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable

import pytest

from tests.integration.local.redshift.lake import error_of

Run = Callable[..., list[list[object]]]


def moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        # FNV_HASH, examples and usage notes
        ("fnv_hash(1)", -5968735742475085980),
        ("fnv_hash(1::smallint)", 589727492704079044),
        ("fnv_hash(1::bigint)", -8517097267634966620),
        ("fnv_hash('Amazon Redshift')", 7783490368944507294),
        ("fnv_hash('Amazon Redshift', fnv_hash(1))", -2202602717770968555),
        ("fnv_hash('abcd')", -281581062704388899),
        ("fnv_hash('cd', fnv_hash('ab'))", -281581062704388899),
        ("fnv_hash('a ') = fnv_hash('a')", False),
        ("fnv_hash('a '::char(2)) = fnv_hash('a')", False),
        ("fnv_hash(NULL::int)", None),
        # CRC32: the polynomial of CRC-32C
        ("crc32('Amazon Redshift')", "f2726906"),
        ("crc32('')", "00000000"),
        ("crc32('123456789')", "e3069283"),
        # SHA1 and its synonyms: RFC 3174
        ("sha1('abc')", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("func_sha1('')", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        *((f"sha('{'é' * n}')", hashlib.sha1(("é" * n).encode()).hexdigest()) for n in (27, 28, 31, 32, 60, 64)),
        # SUBSTRING of a binary expression counts bytes
        ("to_hex(substring(from_hex('c3a9c3'), 2, 1))", "a9"),
        # STRTOL
        ("strtol('0xf', 16)", 15),
        ("strtol('abcd1234', 16)", 2882343476),
        ("strtol('1234567', 10)", 1234567),
        ("strtol('1234567', 8)", 342391),
        ("strtol('110101', 2)", 53),
        # TO_CHAR
        ("to_char(timestamp '2009-12-31 23:15:59', 'MONTH-DY-DD-YYYY HH12:MIPM')", "DECEMBER -THU-31-2009 11:15PM"),
        ("to_char(timestamp '2009-12-31 23:15:59', 'DDD')", "365"),
        ("to_char(timestamp '2022-05-16 23:15:59', 'ID')", "1"),
        ("to_char(timestamp '2008-01-25 14:30:00', 'MON-DD-YYYY HH12:MIPM')", "JAN-25-2008 02:30PM"),
        ("to_char(-125.8, '999D99S')", "125.80-"),
        ("to_char(125.8, '999D99')", " 125.80"),
        # CONVERT_TIMEZONE: names and abbreviations; summer time by name
        ("convert_timezone('EST', 'PST', '20080305 12:25:29')", moment("2008-03-05T09:25:29")),
        ("convert_timezone('America/New_York', '2013-02-01 08:00:00')", moment("2013-02-01T03:00:00")),
        ("convert_timezone('America/New_York', '2013-06-01 08:00:00')", moment("2013-06-01T04:00:00")),
        # DECODE: NULL equals NULL, without a default the rest is NULL
        ("decode(1, 1, 'one', 2, 'two', 'many')", "one"),
        ("decode(3, 1, 'one', 2, 'two', 'many')", "many"),
        ("decode(3, 1, 'one')", None),
        ("decode(NULL::int, NULL, 'none', 'some')", "none"),
        # "Significance of trailing blanks": they go where a CHAR becomes another string
        ("len('ab  '::char(5))", 2),
        ("md5('a'::char(5)) = md5('a')", True),
        ("'ab'::char(5) || 'c'", "abc"),
    ],
)
def test_documented_values(run: Run, expression: str, value: object) -> None:
    assert run(f"SELECT {expression}") == [[value]]


@pytest.mark.parametrize(
    "expression",
    [
        # The documentation gives neither method nor values for these arguments
        "checksum(1)",
        "fnv_hash(1.5)",
        "fnv_hash(true)",
        "fnv_hash(DATE '2024-01-01')",
        "bit_xor(1)",
        "convert_timezone('GMT', 'NEWZONE +2', '2014-05-17 12:00')",
        "convert_timezone('GMT', 'Nowhere/Atall', '2014-05-17 12:00')",
        # What PostgreSQL's TO_CHAR knows and Redshift's documentation does not
        "to_char(1, '9EEEE')",
        "to_char(1, '9V9')",
        "to_char(timestamp '2009-12-31 23:15:59', 'FF3')",
        "to_char(timestamp '2009-12-31 23:15:59', 'OF')",
        "to_char(1, '9' || '9')",
        "lag(1) IGNORE NULLS OVER (ORDER BY 1)",
        "bit_and(1) OVER ()",
        "decode(1, 2)",
    ],
)
def test_what_is_not_documented_is_refused(run: Run, expression: str) -> None:
    assert error_of(run, f"SELECT {expression}")["C"] in {"0A000", "42883", "42601", "42809", "22023"}


@pytest.fixture
def table(run: Run, schema: str) -> str:
    run(f"CREATE TABLE {schema}.t (k INT, v VARCHAR(9), n INT)")
    run(
        f"INSERT INTO {schema}.t VALUES (1, 'b', 6), (1, 'a', NULL), (1, 'b ', 3), (1, '', 7), (1, NULL, 7), "
        "(2, 'z', NULL)"
    )
    return f"{schema}.t"


def test_bit_aggregates(run: Run, table: str) -> None:
    """Bit-wise aggregate functions: NULLs are left out, DISTINCT changes nothing."""
    rows = run(f"SELECT bit_and(n), bit_or(n), bit_and(DISTINCT n) FROM {table} GROUP BY k ORDER BY k")
    assert rows == [[2, 7, 2], [None, None, None]]


def test_listagg(run: Run, table: str) -> None:
    """LISTAGG: NULL and empty texts are left out; DISTINCT ignores trailing blanks; at most 65535 bytes."""
    assert run(f"SELECT listagg(v, ',') WITHIN GROUP (ORDER BY n, v) FROM {table} WHERE k = 1") == [["b ,b,a"]]
    assert run(f"SELECT listagg(DISTINCT trim(v), ',') WITHIN GROUP (ORDER BY trim(v)) FROM {table}") == [["a,b,z"]]
    assert run(f"SELECT len(listagg(DISTINCT v)) FROM {table} WHERE v = 'b'") in ([[1]], [[2]])
    assert run(f"SELECT listagg(v) FROM {table} WHERE v IS NULL") == [[None]]
    assert error_of(run, f"SELECT listagg(DISTINCT v) WITHIN GROUP (ORDER BY n) FROM {table}")["C"] == "0A000"
    for times, fits in ((65534, True), (65535, False)):
        two = f"SELECT 'a' AS v UNION ALL SELECT repeat('b', {times})"
        sql = f"SELECT len(listagg(v) WITHIN GROUP (ORDER BY v)) FROM ({two}) x"
        if fits:
            assert run(sql) == [[65535]]
        else:
            assert error_of(run, sql)["M"] == "Result size exceeds LISTAGG limit"


def test_first_and_last_value_ignore_nulls(run: Run, table: str) -> None:
    """FIRST_VALUE, LAST_VALUE: IGNORE NULLS stands before or behind the parenthesis; NULL if all are."""
    over = "OVER (PARTITION BY k ORDER BY v NULLS LAST ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
    rows = run(
        f"SELECT v, last_value(n) IGNORE NULLS {over}, last_value(n IGNORE NULLS) {over}, first_value(n) RESPECT NULLS "
        f"{over}, first_value(n) IGNORE NULLS {over} FROM {table} WHERE v IS NULL OR v <> 'b' ORDER BY k, v NULLS LAST"
    )
    assert rows == [["", 7, 7, 7, 7], ["a", 7, 7, 7, 7], [None, 7, 7, 7, 7], ["z", None, None, None, None]]
    rows = run(
        f"SELECT n, last_value(n) IGNORE NULLS OVER (ORDER BY v ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) "
        f"FROM {table} WHERE v IN ('a', 'z') ORDER BY v"
    )
    assert rows == [[None, None], [None, None]]


@pytest.fixture
def sales(run: Run, schema: str) -> str:
    """The sample data of the documentation of QUALIFY."""
    run(f"CREATE TABLE {schema}.store_sales (ss_sold_date date, ss_sold_time time, ss_item text, ss_sales_price float)")
    run(
        f"""INSERT INTO {schema}.store_sales VALUES ('2022-01-01', '09:00:00', 'Product 1', 100.0),
        ('2022-01-01', '11:00:00', 'Product 2', 500.0), ('2022-01-01', '15:00:00', 'Product 3', 20.0),
        ('2022-01-01', '17:00:00', 'Product 4', 1000.0), ('2022-01-01', '18:00:00', 'Product 5', 30.0),
        ('2022-01-02', '10:00:00', 'Product 6', 5000.0), ('2022-01-02', '16:00:00', 'Product 7', 5.0)"""
    )
    return f"{schema}.store_sales"


def test_qualify(run: Run, sales: str) -> None:
    """QUALIFY: the examples of its page."""
    dearest = "row_number() OVER (PARTITION BY ss_sold_date ORDER BY ss_sales_price DESC) <= 2"
    rows = run(f"SELECT * FROM {sales} ss WHERE ss_sold_time > time '12:00:00' QUALIFY {dearest} ORDER BY ss_item")
    day = datetime.date(2022, 1, 1)
    assert rows == [
        [day, datetime.time(17), "Product 4", 1000.0],
        [day, datetime.time(18), "Product 5", 30.0],
        [datetime.date(2022, 1, 2), datetime.time(16), "Product 7", 5.0],
    ]
    last = (
        "last_value(ss_item) OVER (PARTITION BY ss_sold_date ORDER BY ss_sold_time ASC "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) = ss_item"
    )
    assert run(f"SELECT ss.*, ss_item AS again FROM {sales} ss QUALIFY {last} ORDER BY ss_item") == [
        [day, datetime.time(18), "Product 5", 30.0, "Product 5"],
        [datetime.date(2022, 1, 2), datetime.time(16), "Product 7", 5.0, "Product 7"],
    ]


def test_qualify_keeps_names_and_joins(connect: Callable[..., object], run: Run, sales: str, schema: str) -> None:
    cursor = connect().cursor()  # type: ignore[attr-defined]
    newest = "row_number() OVER (PARTITION BY ss_sold_date ORDER BY ss_sold_time DESC) = 1"
    cursor.execute(f"SELECT * FROM {sales} ss QUALIFY {newest}")
    assert [column[0] for column in cursor.description] == ["ss_sold_date", "ss_sold_time", "ss_item", "ss_sales_price"]
    run(f"CREATE TABLE {schema}.days (d date, n int)")
    run(f"INSERT INTO {schema}.days VALUES ('2022-01-01', 1)")
    rows = run(
        f"SELECT * FROM (SELECT ss_item, ss_sold_date, ss_sold_time FROM {sales}) ss LEFT JOIN {schema}.days "
        f"ON d = ss_sold_date WHERE 1 = 1 QUALIFY {newest} ORDER BY ss_item"
    )
    assert [(row[0], row[4]) for row in rows] == [("Product 5", 1), ("Product 7", None)]
    rows = run(
        f"SELECT ss_sold_date, count(*) AS c FROM {sales} GROUP BY ss_sold_date HAVING count(*) > 1 "
        "QUALIFY rank() OVER (ORDER BY count(*) DESC) = 1"
    )
    assert rows == [[datetime.date(2022, 1, 1), 5]]
    run(f"CREATE VIEW {schema}.newest AS SELECT * FROM {sales} ss QUALIFY {newest} WITH NO SCHEMA BINDING")
    assert run(f"SELECT count(*) FROM {schema}.newest") == [[2]]
