"""Values through redshift_connector and SQL: types, lengths, comparisons, functions."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.integration.local.redshift.lake import error_of

Run = Callable[..., list[list[object]]]


def test_values_come_back_as_they_were_bound(run: Run, schema: str) -> None:
    """The driver's own conversions of every type it binds, and NULL of each."""
    run(
        f"CREATE TABLE {schema}.t (a SMALLINT, b INTEGER, c BIGINT, d DECIMAL(20,4), e REAL, f DOUBLE PRECISION, "
        "g BOOLEAN, h VARCHAR(20), i DATE, j TIMESTAMP, k TIMESTAMPTZ, l TIME, m CHAR(3))"
    )
    moment = datetime.datetime.fromisoformat("2024-02-29T12:34:56.789012")
    values = [
        -1, 2**31 - 1, -(2**63) + 1, Decimal("-1234567890123456.7891"), 0.5, 1e-300, True, "h'\\\"é😀", moment.date(),
        moment, moment.replace(tzinfo=datetime.UTC), moment.time(), "ab ",
    ]  # fmt: skip
    marks = ", ".join(["%s"] * len(values))
    run(f"INSERT INTO {schema}.t VALUES ({marks})", *values)
    run(f"INSERT INTO {schema}.t VALUES ({marks})", *[None] * len(values))
    assert run(f"SELECT * FROM {schema}.t ORDER BY a") == [values, [None] * len(values)]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        # AWS documentation: SUM and AVG, return types
        ("sum(x::smallint)", 7),
        ("sum(x::bigint)", 7),
        ("avg(x)", 2),
        ("avg(x::bigint)", 2),
        ("sum(x::decimal(10,2))", Decimal("7.00")),
        ("avg(x::decimal(10,2))", Decimal("2.33")),
        ("avg(x::float)", pytest.approx(7 / 3)),
        ("count(DISTINCT x)", 3),
        ("min(x::varchar)", "1"),
        ("max(x::varchar)", "4"),
        ("listagg(x, ',') WITHIN GROUP (ORDER BY x DESC)", "4,2,1"),
    ],
)
def test_aggregates(run: Run, expression: str, value: object) -> None:
    rows = run(f"SELECT {expression} FROM (SELECT 1 AS x UNION ALL SELECT 2 UNION ALL SELECT 4) t")
    assert rows == [[value]]
    assert type(rows[0][0]) is type(value) or not isinstance(value, (int, Decimal))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        # AWS documentation, "SQL functions reference"
        ("nvl(NULL, 2)", 2),
        ("nvl2(NULL, 1, 2)", 2),
        ("coalesce(NULL, 'x')", "x"),
        ("len('héé ')", 4),
        ("octet_length('héé')", 5),
        ("upper('é') || lower('AB')", "Éab"),
        ("md5('abc')", "900150983cd24fb0d6963f7d28e17f72"),
        ("sha2('abc', 256)", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("strtol('deadbeef', 16)", 3735928559),
        ("strtol(left(md5('abc'), 15), 16)", int("900150983cd24fb", 16)),
        ("strtol('7fffffffffffffff', 16)", 2**63 - 1),
        ("strtol('-0x1f', 16)", -31),
        ("strtol('777', 8)", 511),
        ("to_hex(255)", "ff"),
        ("from_varbyte(from_hex('616263'), 'utf8')", "abc"),
        ("to_char(TIMESTAMP '2024-02-29 01:02:03.000004', 'YYYY-MM-DD HH24:MI:SS.US')", "2024-02-29 01:02:03.000004"),
        ("to_char(DATE '2024-02-29', 'YYYYMMDD')", "20240229"),
        ("extract(year from DATE '2024-02-29')", 2024),
        ("extract(epoch from TIMESTAMP '2024-02-29 00:00:00')", 1709164800),
        ("date_part(dow, DATE '2024-02-29')", 4),
        ("date_trunc('month', TIMESTAMP '2024-02-29 01:02:03')", datetime.datetime.fromisoformat("2024-02-01")),
        ("dateadd(month, 1, DATE '2024-01-31')", datetime.datetime.fromisoformat("2024-02-29")),
        ("dateadd('second', -1, '2024-01-01')", datetime.datetime.fromisoformat("2023-12-31T23:59:59")),
        ("datediff(day, TIMESTAMP '2024-01-01 23:59:59', TIMESTAMP '2024-01-02 00:00:00')", 1),
        ("datediff(year, DATE '2023-12-31', DATE '2024-01-01')", 1),
        ("datediff(hour, TIMESTAMP '2024-01-01 00:59:59', TIMESTAMP '2024-01-01 01:00:00')", 1),
        ("datediff(microsecond, '2024-01-01 00:00:00', '2024-01-01 00:00:00.000007')", 7),
        ("last_day(DATE '2024-02-01')", datetime.date(2024, 2, 29)),
        ("trunc(TIMESTAMP '2024-02-29 01:02:03')", datetime.date(2024, 2, 29)),
        ("trim('  a ')", "a"),
        ("trim(both 'x' from 'xax')", "a"),
        ("substring('abcdef', 2, 3)", "bcd"),
        ("split_part('a-b-c', '-', 2)", "b"),
        ("charindex('b', 'abc') + strpos('abc', 'c')", 5),
        ("is_valid_json('{\"a\": 1}')", True),
        ("is_valid_json('{a}')", False),
        ("json_serialize(json_parse('[1,2]'))", "[1, 2]"),
        ("round(2.345, 2)", Decimal("2.35")),
        ("mod(7, 3) + abs(-1)", 2),
        ("7 / 2", 3),
        ("'a' || NULL", None),
        ("greatest(1, 2, 3) - least(1, 2)", 2),
        ("CASE 2 WHEN 1 THEN 'a' WHEN 2 THEN 'b' END", "b"),
        ("'abcdef'::varchar(3)", "abc"),
        # A cast cuts at a whole character: two bytes of a three-byte word
        ("'aéb'::varchar(2)", "a"),
    ],
)
def test_functions(run: Run, expression: str, value: object) -> None:
    assert run(f"SELECT {expression}") == [[value]]


def test_getdate_and_sysdate(run: Run) -> None:
    """AWS documentation: GETDATE has no fractions of a second, SYSDATE is the start of the transaction."""
    ((now, then, same),) = run("SELECT getdate(), sysdate, sysdate = sysdate")
    assert isinstance(now, datetime.datetime)
    assert isinstance(then, datetime.datetime)
    assert now.microsecond == 0
    assert now.tzinfo is None
    assert same is True


def test_varchar_counts_bytes(run: Run, schema: str) -> None:
    """redshift.md, Types: VARCHAR(n) is n bytes; on INSERT and UPDATE too."""
    run(f"CREATE TABLE {schema}.t (a VARCHAR(4), b VARCHAR, c TEXT)")
    run(f"INSERT INTO {schema}.t (a) VALUES ('éé'), ('abcd')")
    for value in ("'ééé'", "'abcde'"):
        for sql in (f"INSERT INTO {schema}.t (a) VALUES ({value})", f"UPDATE {schema}.t SET a = {value}"):
            error = error_of(run, sql)
            assert (error["C"], error["M"]) == ("22001", "value too long for type character varying(4)")
    assert error_of(run, f"INSERT INTO {schema}.t (a) VALUES (%s)", "ééé")["C"] == "22001"
    assert error_of(run, f"INSERT INTO {schema}.t (a) SELECT b FROM (SELECT 'abcde' AS b) x")["C"] == "22001"
    run(f"INSERT INTO {schema}.t (b, c) VALUES (%s, %s)", "x" * 256, "y" * 256)
    assert error_of(run, f"INSERT INTO {schema}.t (b) VALUES (%s)", "x" * 257)["C"] == "22001"
    assert error_of(run, f"INSERT INTO {schema}.t (c) VALUES (%s)", "x" * 257)["C"] == "22001"
    run(f"CREATE TABLE {schema}.u (a VARCHAR(3))")
    assert error_of(run, f"INSERT INTO {schema}.u SELECT a FROM {schema}.t")["C"] == "22001"


def test_trailing_blanks_do_not_count_in_comparisons(run: Run, schema: str) -> None:
    """redshift.md, Types: trailing blanks are ignored when comparing VARCHAR; the value keeps them."""
    run(f"CREATE TABLE {schema}.t (a VARCHAR(9), n INT)")
    run(f"CREATE TABLE {schema}.u (a VARCHAR(20))")
    run(f"INSERT INTO {schema}.t VALUES ('x', 1), ('x  ', 2), (' x', 3), ('X', 4)")
    run(f"INSERT INTO {schema}.u VALUES ('x ')")
    same = [[1], [2]]
    assert run(f"SELECT n FROM {schema}.t WHERE a = 'x ' ORDER BY n") == same
    assert run(f"SELECT n FROM {schema}.t WHERE a = %s ORDER BY n", "x   ") == same
    assert run(f"SELECT n FROM {schema}.t WHERE a IN ('x') ORDER BY n") == same
    assert run(f"SELECT n FROM {schema}.t JOIN {schema}.u ON t.a = u.a ORDER BY n") == same
    assert run(f"SELECT n FROM {schema}.t WHERE upper(a) = 'X ' ORDER BY n") == [[1], [2], [4]]
    assert run(f"SELECT n FROM {schema}.t WHERE EXISTS (SELECT 1 FROM {schema}.u WHERE u.a = t.a) ORDER BY n") == same
    assert run(f"SELECT count(*) FROM {schema}.t GROUP BY a ORDER BY 1") == [[1], [1], [2]]
    assert run(f"SELECT count(DISTINCT a) FROM {schema}.t") == [[3]]
    rank = "row_number() OVER (PARTITION BY a ORDER BY n DESC)"
    assert run(f"SELECT n FROM (SELECT n, {rank} AS r FROM {schema}.t) x WHERE r = 1 ORDER BY n") == [[2], [3], [4]]
    assert run(f"SELECT a, len(a) FROM {schema}.t WHERE n = 2") == [["x  ", 3]]
    assert run(f"SELECT n FROM {schema}.t WHERE a LIKE 'x'") == [[1]]
    run(f"DELETE FROM {schema}.t USING {schema}.u WHERE t.a = u.a")
    assert run(f"SELECT count(*) FROM {schema}.t") == [[2]]


def test_comparisons_see_the_case(run: Run, schema: str) -> None:
    """redshift.md, Types: MySQL _ci keys compare case-insensitively, Redshift does not."""
    run(f"CREATE TABLE {schema}.t (a VARCHAR(9))")
    run(f"INSERT INTO {schema}.t VALUES ('A'), ('a')")
    assert run(f"SELECT count(*) FROM {schema}.t WHERE a = 'a'") == [[1]]
    assert run(f"SELECT a FROM {schema}.t ORDER BY a") == [["A"], ["a"]]


def test_null_into_not_null(run: Run, schema: str) -> None:
    run(f"CREATE TABLE {schema}.t (a INT NOT NULL, b INT)")
    error = error_of(run, f"INSERT INTO {schema}.t (b) VALUES (1)")
    assert error["M"] == "Cannot insert a NULL value into column a"


def test_varchar_max_holds_65535_bytes(run: Run, schema: str) -> None:
    """AWS documentation, VARCHAR."""
    run(f"CREATE TABLE {schema}.t (a VARCHAR(MAX))")
    run(f"INSERT INTO {schema}.t VALUES (%s)", "x" * 65535)
    assert run(f"SELECT len(a) FROM {schema}.t") == [[65535]]
    assert error_of(run, f"INSERT INTO {schema}.t VALUES (%s)", "x" * 65536)["C"] == "22001"


def test_char_holds_single_byte_characters(run: Run, schema: str) -> None:
    """AWS documentation, "Character types"."""
    run(f"CREATE TABLE {schema}.t (a CHAR(3))")
    run(f"INSERT INTO {schema}.t VALUES ('a')")
    assert run(f"SELECT a FROM {schema}.t WHERE a = 'a'") == [["a  "]]
    assert error_of(run, f"INSERT INTO {schema}.t VALUES ('é')")["C"] == "22021"


def test_varbyte_shows_as_hex(run: Run, schema: str) -> None:
    """redshift.md, the driver: bytes come as hex text, which it decodes."""
    run(f"CREATE TABLE {schema}.t (a VARBYTE(3))")
    run(f"INSERT INTO {schema}.t VALUES (from_hex('616263'))")
    assert run(f"SELECT a, to_hex(a) FROM {schema}.t") == [["abc", "616263"]]
    assert error_of(run, f"INSERT INTO {schema}.t VALUES (from_hex('61626364'))")["C"] == "22001"


def test_a_backslash_in_a_literal(run: Run) -> None:
    """redshift.md, COPY: backslash is an escape inside literals."""
    assert run(r"SELECT 'a\'b', '\\n', 'c\td'") == [["a'b", "\\n", "c\td"]]


def test_merge(run: Run, schema: str) -> None:
    """AWS documentation, MERGE."""
    run(f"CREATE TABLE {schema}.t (k INT, v VARCHAR(9))")
    run(f"CREATE TABLE {schema}.s (k INT, v VARCHAR(9))")
    run(f"INSERT INTO {schema}.t VALUES (1, 'old'), (2, 'old')")
    run(f"INSERT INTO {schema}.s VALUES (2, 'new'), (3, 'new')")
    run(
        f"MERGE INTO {schema}.t USING {schema}.s ON t.k = s.k WHEN MATCHED THEN UPDATE SET v = s.v "
        "WHEN NOT MATCHED THEN INSERT (k, v) VALUES (s.k, s.v)"
    )
    assert run(f"SELECT k, v FROM {schema}.t ORDER BY k") == [[1, "old"], [2, "new"], [3, "new"]]
    run(f"INSERT INTO {schema}.s VALUES (2, 'twice')")
    error_of(
        run,
        f"MERGE INTO {schema}.t USING {schema}.s ON t.k = s.k WHEN MATCHED THEN UPDATE SET v = s.v "
        "WHEN NOT MATCHED THEN INSERT (k, v) VALUES (s.k, s.v)",
    )


def test_the_newest_version_of_each_key(run: Run, schema: str) -> None:
    """redshift.md, Transactions: the portable forms of merge and dedup."""
    run(f"CREATE TABLE {schema}.t (k INT, v INT)")
    run(f"CREATE TABLE {schema}.s (k INT, v INT)")
    run(f"INSERT INTO {schema}.t VALUES (1, 1), (2, 1)")
    run(f"INSERT INTO {schema}.s VALUES (2, 2), (2, 3), (3, 1)")
    run(f"DELETE FROM {schema}.t USING {schema}.s WHERE {schema}.t.k = {schema}.s.k")
    run(
        f"INSERT INTO {schema}.t (k, v) SELECT k, v FROM (SELECT x.*, ROW_NUMBER() OVER (PARTITION BY k "
        f"ORDER BY v DESC) AS rn FROM {schema}.s AS x) y WHERE rn = 1"
    )
    assert run(f"SELECT k, v FROM {schema}.t ORDER BY k") == [[1, 1], [2, 3], [3, 1]]


def test_digits_of_an_md5_are_read_as_any_others(run: Run, schema: str) -> None:
    """A column that is an MD5 is read without a look at its digits; one that need not be is looked at."""
    run(f"CREATE TABLE {schema}.t (v VARCHAR(9))")
    run(f"INSERT INTO {schema}.t VALUES ('y'), ('z'), (NULL)")
    digests = [hashlib.md5(v).hexdigest() for v in (b"y", b"z")]
    parts = "strtol(left(m, 15), 16)", "strtol(substring(m, 16, 15), 16)"
    sums = ", ".join(f"sum(CAST({part} AS DECIMAL(38,0)))" for part in parts)
    hashed = f"(SELECT md5(v) AS m FROM {schema}.t) AS x"
    assert run(f"SELECT {sums}, count(*) FROM {hashed}") == [
        [sum(int(d[:15], 16) for d in digests), sum(int(d[15:30], 16) for d in digests), 3]
    ]
    beyond = run(f"SELECT strtol(substring(m, 30, 15), 16), strtol(substring(m, 40, 5), 16) FROM {hashed} WHERE m > ''")
    assert sorted(beyond) == sorted([int(d[29:], 16), 0] for d in digests)
    for other in (
        f"(SELECT v AS m FROM {schema}.t) AS x",
        f"(SELECT md5(v)||'z' AS n, v AS m FROM {schema}.t) AS x",
        f"(SELECT md5(v) AS m FROM {schema}.t UNION ALL SELECT v AS m FROM {schema}.t) AS x",
        f"(SELECT md5(v) AS n, v AS o FROM {schema}.t) AS x (n, m)",
        f"(SELECT m FROM (SELECT md5(v) AS m FROM {schema}.t UNION SELECT v FROM {schema}.t) AS y) AS x",
    ):
        told = error_of(run, f"SELECT strtol(left(m, 15), 16) FROM {other}")
        assert "is not valid to be converted to base 16" in told["M"]


JOINED = {
    "a": ("SMALLINT", "-1"),
    "b": ("INT", "2147483647"),
    "c": ("BIGINT", "-9223372036854775808"),
    "d": ("DECIMAL(20,0)", "18446744073709551615"),
    "e": ("DECIMAL(10,2)", "-0.50"),
    "f": ("REAL", "0.1"),
    "g": ("DOUBLE PRECISION", "-1e300"),
    "h": ("BOOLEAN", "TRUE"),
    "i": ("DATE", "DATE '2026-01-31'"),
    "j": ("TIMESTAMP", "TIMESTAMP '2026-01-31 23:59:59.000001'"),
    "k": ("VARCHAR(20)", "' a, b '"),
    "l": ("CHAR(8)", "'x '"),
    "m": ("VARCHAR(20)", "''"),
}
"""Values by column; text is made of each."""


@pytest.mark.parametrize("times", [1, 5, 9], ids=["one call", "chains of chains", "more than a call takes"])
def test_long_chains_are_the_texts_that_their_steps_are(run: Run, schema: str, times: int) -> None:
    """An argument that is a long chain is joined at once; an item of the select list is not."""
    run(f"CREATE TABLE {schema}.t ({', '.join(f'{name} {kind}' for name, (kind, _) in JOINED.items())})")
    run(f"INSERT INTO {schema}.t VALUES ({', '.join(value for _, value in JOINED.values())})")
    run(f"INSERT INTO {schema}.t VALUES ({', '.join('NULL' for _ in JOINED)})")
    texts = [f"COALESCE({c},'')" if c in "klm" else f"COALESCE(CAST({c} AS VARCHAR),'')" for c in JOINED]
    texts += [
        "COALESCE(CAST(datediff(day, DATE '2000-01-01', i) AS VARCHAR),'none')",
        "COALESCE(CAST('x' AS VARCHAR),'')",
    ]
    texts += ["COALESCE(CAST(NULL AS VARCHAR),'')", "COALESCE(CASE WHEN a<0 THEN '-' END,'')", "NVL(k||m,'')"]
    one = "||','||".join(texts)
    chain = "||','||".join(f"({one})" for _ in range(times))
    rows = run(f"SELECT {chain}, md5({chain}), octet_length({chain}), md5({chain}||',') FROM {schema}.t ORDER BY a")
    whole = "-1,2147483647,-9223372036854775808,18446744073709551615,-0.50,0.1,-1e+300,t,2026-01-31,"
    whole += "2026-01-31 23:59:59.000001, a, b ,x,,9527,x,,-, a, b "
    assert [row[0] for row in rows] == [",".join([text] * times) for text in (whole, f"{',' * 13}none,x,,,")]
    for text, digest, size, other in rows:
        assert isinstance(text, str)
        assert (digest, size) == (hashlib.md5(text.encode()).hexdigest(), len(text))
        assert other == hashlib.md5(f"{text},".encode()).hexdigest()


def test_a_long_chain_with_null_in_it_is_null(run: Run, schema: str) -> None:
    run(f"CREATE TABLE {schema}.t (a VARCHAR(9), b INT)")
    run(f"INSERT INTO {schema}.t VALUES (NULL, 1)")
    filled = "||','||".join(["COALESCE(a,'')"] * 20)
    whole = hashlib.md5(b"," * 19).hexdigest()
    assert run(f"SELECT md5({filled}), md5({filled}||','||a), md5({filled}||a) FROM {schema}.t") == [
        [whole, None, None]
    ]
    for wrong in ("COALESCE(b,'')", "COALESCE(b,'')||','||a"):
        assert "invalid input syntax" in error_of(run, f"SELECT md5({filled}||','||{wrong}) FROM {schema}.t")["M"]
