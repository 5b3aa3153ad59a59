"""COPY ... FORMAT AS PARQUET from a manifest, through redshift_connector. Each test names the source of its rule."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from decimal import Decimal

import pyarrow as pa
import pytest

from tests.integration.local.redshift.conftest import StandIn
from tests.integration.local.redshift.lake import Lake, error_of, parquet_bytes

Run = Callable[..., list[list[object]]]

EVERY_TYPE: dict[str, tuple[str, pa.DataType, list[object]]] = {
    "a": ("BIGINT", pa.int64(), [1, -(2**63), None]),
    "b": ("INTEGER", pa.int32(), [1, -(2**31), None]),
    "c": ("SMALLINT", pa.int16(), [1, -(2**15), None]),
    "d": ("BOOLEAN", pa.bool_(), [True, False, None]),
    "e": ("REAL", pa.float32(), [1.5, -0.25, None]),
    "f": ("DOUBLE PRECISION", pa.float64(), [1e300, -0.125, None]),
    "g": ("DATE", pa.date32(), [datetime.date(2024, 2, 29), datetime.date(1969, 12, 31), None]),
    "h": ("DECIMAL(20,0)", pa.decimal128(20, 0), [Decimal(2**64 - 1), Decimal(-1), None]),
    "i": ("DECIMAL(38,10)", pa.decimal128(38, 10), [Decimal("1.0000000001"), Decimal("-12345678901234567890.5"), None]),
    "j": (
        "TIMESTAMP",
        pa.timestamp("us"),
        [
            datetime.datetime.fromisoformat("2024-02-29T23:59:59.999999"),
            datetime.datetime.fromisoformat("1969-12-31T00:00:00.000001"),
            None,
        ],
    ),
    "k": ("VARCHAR(12)", pa.string(), ["héé 😀 ", "", None]),
}


def test_every_documented_type_arrives_exact(run: Run, schema: str, lake: Lake) -> None:
    """redshift.md, COPY, table of exact types."""
    columns = ", ".join(f"{name} {kind[0]}" for name, kind in EVERY_TYPE.items())
    run(f"CREATE TABLE {schema}.t ({columns})")
    table = pa.table({name: pa.array(values, kind) for name, (_, kind, values) in EVERY_TYPE.items()})
    run(lake.copy_sql(f"{schema}.t", lake.manifest_of(table), f"({', '.join(EVERY_TYPE)})"))
    rows = run(f"SELECT * FROM {schema}.t")
    assert [list(row) for row in zip(*rows, strict=True)] == [values for _, _, values in EVERY_TYPE.values()]


def test_columns_match_by_position(run: Run, schema: str, lake: Lake) -> None:
    """redshift.md, COPY: columns match by position, not name."""
    run(f"CREATE TABLE {schema}.t (a BIGINT, b BIGINT)")
    table = pa.table({"b": pa.array([1], pa.int64()), "a": pa.array([2], pa.int64())})
    run(lake.copy_sql(f"{schema}.t", lake.manifest_of(table), '("A", "B")'))
    run(lake.copy_sql(f"{schema}.t", lake.manifest_of(table), "(b, a)"))
    assert sorted(run(f"SELECT a, b FROM {schema}.t")) == [[1, 2], [2, 1]]


def test_a_wrong_number_of_columns_is_15007(run: Run, schema: str, lake: Lake) -> None:
    """redshift.md, COPY: 15007 Unmatched number of columns between table and file."""
    run(f"CREATE TABLE {schema}.t (a BIGINT, b BIGINT)")
    url = lake.manifest_of(pa.table({"a": pa.array([1], pa.int64())}))
    error = error_of(run, lake.copy_sql(f"{schema}.t", url))
    assert (error["C"], error["M"]) == ("XX000", "Spectrum Scan Error")
    assert "code:      15007" in error["D"]
    assert "Unmatched number of columns between table and file. Table columns: 2, Data columns: 1" in error["D"]


@pytest.mark.parametrize("autocommit", [True, False])
def test_copy_keeps_to_the_transaction(
    connect: Callable[..., object], run: Run, schema: str, lake: Lake, autocommit: bool
) -> None:
    """The stand-in loads on the client's own session and transaction."""
    run(f"CREATE TABLE {schema}.t (a BIGINT)")
    url = lake.manifest_of(pa.table({"a": pa.array(range(1000), pa.int64())}))
    connection = connect(autocommit=autocommit)
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute(lake.copy_sql(f"{schema}.t", url))
    assert cursor.rowcount == -1
    cursor.execute("SELECT pg_last_copy_count()")
    assert cursor.fetchone() == [1000]
    assert run(f"SELECT count(*) FROM {schema}.t") == [[1000 if autocommit else 0]]
    if not autocommit:
        connection.rollback()  # type: ignore[attr-defined]
        assert run(f"SELECT count(*) FROM {schema}.t") == [[0]]


def test_a_file_listed_twice_is_loaded_twice(run: Run, schema: str, lake: Lake) -> None:
    """redshift.md, COPY, manifest."""
    run(f"CREATE TABLE {schema}.t (a BIGINT)")
    entry = lake.entry(parquet_bytes(pa.table({"a": pa.array([1, 2], pa.int64())})))
    run(lake.copy_sql(f"{schema}.t", lake.manifest([entry, entry])))
    assert run(f"SELECT count(*) FROM {schema}.t") == [[4]]


ONE_COLUMN = pa.table({"a": pa.array([1], pa.int64())})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "Parsed manifest is not a valid JSON object."),
        ("{", "Parsed manifest is not a valid JSON object."),
        ('{"entries": [{"url": "s3://b/k", "mandatory": true}]}', "File entry does not have 'meta' key."),
    ],
)
def test_a_malformed_manifest_is_15003(run: Run, schema: str, lake: Lake, text: str, message: str) -> None:
    """redshift.md, COPY, manifest."""
    run(f"CREATE TABLE {schema}.t (a BIGINT)")
    error = error_of(run, lake.copy_sql(f"{schema}.t", lake.manifest_text(text)))
    assert (error["C"], error["M"]) == ("XX000", message)
    assert "code:      15003" in error["D"]


@pytest.mark.parametrize("change", [-1, 1])
def test_a_wrong_content_length_is_416(run: Run, schema: str, lake: Lake, change: int) -> None:
    """redshift.md, COPY: wrong size: HTTP 416 InvalidRange."""
    run(f"CREATE TABLE {schema}.t (a BIGINT)")
    data = parquet_bytes(ONE_COLUMN)
    entry = {**lake.entry(data), "meta": {"content_length": len(data) + change}}
    error = error_of(run, lake.copy_sql(f"{schema}.t", lake.manifest([entry])))
    assert "HTTP response error code: 416 Message: InvalidRange" in error["D"]
    assert run(f"SELECT count(*) FROM {schema}.t") == [[0]]


def test_a_missing_file_fails_only_when_it_is_mandatory(run: Run, schema: str, lake: Lake) -> None:
    """redshift.md, COPY: mandatory defaults to false, a missing file is skipped silently."""
    run(f"CREATE TABLE {schema}.t (a BIGINT)")
    present = lake.entry(parquet_bytes(ONE_COLUMN))
    missing: dict[str, object] = {"url": f"s3://{lake.bucket}/nothing.parquet", "meta": {"content_length": 9}}
    run(lake.copy_sql(f"{schema}.t", lake.manifest([missing, present])))
    assert run("SELECT pg_last_copy_count()") == [[1]]
    error = error_of(run, lake.copy_sql(f"{schema}.t", lake.manifest([present, {**missing, "mandatory": True}])))
    assert "Status 404" in error["M"]
    assert run(f"SELECT count(*) FROM {schema}.t") == [[1]]


def test_a_missing_manifest(run: Run, schema: str, lake: Lake) -> None:
    run(f"CREATE TABLE {schema}.t (a BIGINT)")
    error = error_of(run, lake.copy_sql(f"{schema}.t", f"s3://{lake.bucket}/manifests/none"))
    assert error["M"] == "The specified S3 prefix 'manifests/none' does not exist"


def test_two_slashes_name_another_key(run: Run, schema: str, lake: Lake) -> None:
    """redshift.md, COPY: `//` in a key is another key."""
    run(f"CREATE TABLE {schema}.t (a BIGINT)")
    entry = lake.entry(parquet_bytes(ONE_COLUMN), "twice//slashed.parquet")
    run(lake.copy_sql(f"{schema}.t", lake.manifest([entry])))
    other = {**entry, "url": str(entry["url"]).replace("twice//", "twice/")}
    assert "Status 404" in error_of(run, lake.copy_sql(f"{schema}.t", lake.manifest([other])))["M"]


@pytest.mark.parametrize("suffix", ["gz", "snappy", "bz2"])
def test_a_compressed_suffix_is_refused(run: Run, schema: str, lake: Lake, suffix: str) -> None:
    """redshift.md, COPY: no `.gz` suffix; AWS documentation, COPY from columnar data formats, names the others."""
    run(f"CREATE TABLE {schema}.t (a BIGINT)")
    entry = lake.entry(parquet_bytes(ONE_COLUMN), f"x.parquet.{suffix}")
    assert error_of(run, lake.copy_sql(f"{schema}.t", lake.manifest([entry])))["M"] == "Spectrum Scan Error"


def test_a_file_that_is_no_parquet(run: Run, schema: str, lake: Lake) -> None:
    run(f"CREATE TABLE {schema}.t (a BIGINT)")
    good = parquet_bytes(pa.table({"a": pa.array(range(100), pa.int64())}))
    for data in (b"PAR", b"", good[:-1], good[:20] + b"\xff" * 40 + good[60:]):
        error = error_of(run, lake.copy_sql(f"{schema}.t", lake.manifest([lake.entry(data)])))
        assert "is not a readable Parquet file" in error["D"]
    assert run(f"SELECT count(*) FROM {schema}.t") == [[0]]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("INTEGER", pa.int64()),
        ("BIGINT", pa.int32()),
        ("SMALLINT", pa.int32()),
        ("BIGINT", pa.uint32()),
        ("TIMESTAMP", pa.timestamp("ns")),
        ("TIMESTAMP", pa.timestamp("ms")),
        ("TIMESTAMP", pa.timestamp("us", "UTC")),
        ("DECIMAL(10,2)", pa.decimal128(10, 3)),
        ("DECIMAL(12,2)", pa.decimal128(10, 2)),
        ("VARCHAR(10)", pa.binary()),
        ("VARBYTE(10)", pa.string()),
        ("DATE", pa.timestamp("us")),
        ("BOOLEAN", pa.int32()),
    ],
)
def test_types_are_not_converted(run: Run, schema: str, lake: Lake, column: str, kind: pa.DataType) -> None:
    """redshift.md, COPY: no type coercion at all; nanoseconds load silently wrong there and are refused here."""
    run(f"CREATE TABLE {schema}.t (a {column})")
    url = lake.manifest_of(pa.table({"a": pa.nulls(1, kind)}))
    error = error_of(run, lake.copy_sql(f"{schema}.t", url))
    assert error["M"] == "Spectrum Scan Error"
    assert "has an incompatible Parquet schema for column" in error["D"]


@pytest.mark.parametrize(
    ("column", "kind"),
    [("TIMESTAMPTZ", pa.timestamp("us", "UTC")), ("TIME", pa.time64("us")), ("CHAR(10)", pa.string())],
)
def test_column_types_that_are_not_confirmed(run: Run, schema: str, lake: Lake, column: str, kind: pa.DataType) -> None:
    """redshift.md, COPY: TIME, TIMESTAMPTZ: do not write; CHAR is not in the table of types."""
    run(f"CREATE TABLE {schema}.t (a {column})")
    url = lake.manifest_of(pa.table({"a": pa.nulls(1, kind)}))
    assert error_of(run, lake.copy_sql(f"{schema}.t", url))["C"] == "0A000"


def test_a_string_is_measured_in_bytes(run: Run, schema: str, lake: Lake) -> None:
    """redshift.md, COPY: VARCHAR(n), length counted in bytes; 15007 with both lengths."""
    run(f"CREATE TABLE {schema}.t (name VARCHAR(4))")
    run(lake.copy_sql(f"{schema}.t", lake.manifest_of(pa.table({"x": ["éé", "abcd", "😀"]}))))
    error = error_of(run, lake.copy_sql(f"{schema}.t", lake.manifest_of(pa.table({"x": ["ééé"]}))))
    assert (
        "The length of the data column name is longer than the length defined in the table. Table: 4, Data: 6"
        in error["D"]
    )
    assert run(f"SELECT count(*) FROM {schema}.t") == [[3]]


def test_null_into_not_null_fails(run: Run, schema: str, lake: Lake) -> None:
    """redshift.md, COPY."""
    run(f"CREATE TABLE {schema}.t (a BIGINT NOT NULL, b BIGINT PRIMARY KEY)")
    for rows in ({"a": [None], "b": [1]}, {"a": [1], "b": [None]}):
        table = pa.table({name: pa.array(values, pa.int64()) for name, values in rows.items()})
        assert "NOT NULL" in error_of(run, lake.copy_sql(f"{schema}.t", lake.manifest_of(table)))["D"]


def test_keys_are_not_enforced(run: Run, schema: str, lake: Lake) -> None:
    """redshift.md, Transactions: PRIMARY KEY / UNIQUE are never enforced."""
    run(f"CREATE TABLE {schema}.t (a BIGINT PRIMARY KEY, b BIGINT UNIQUE)")
    table = pa.table({"a": pa.array([1, 1], pa.int64()), "b": pa.array([2, 2], pa.int64())})
    run(lake.copy_sql(f"{schema}.t", lake.manifest_of(table)))
    run(f"INSERT INTO {schema}.t VALUES (1, 2)")
    assert run(f"SELECT count(*) FROM {schema}.t") == [[3]]


def test_a_row_over_4_mb_fails(run: Run, schema: str, lake: Lake) -> None:
    """redshift.md, COPY."""
    names = [f"c{n}" for n in range(70)]
    run(f"CREATE TABLE {schema}.t ({', '.join(f'{name} VARCHAR(MAX)' for name in names)})")
    full, short = "x" * 65535, "x" * 50000
    fits = {name: [short] for name in names}
    run(lake.copy_sql(f"{schema}.t", lake.manifest_of(pa.table(fits))))
    error = error_of(run, lake.copy_sql(f"{schema}.t", lake.manifest_of(pa.table({n: [full] for n in names}))))
    assert "larger than 4 MB" in error["D"]


@pytest.mark.parametrize("options", [{"compression": "zstd"}, {"data_page_version": "2.0"}])
def test_unconfirmed_encodings_are_refused(run: Run, schema: str, lake: Lake, options: dict[str, str]) -> None:
    """redshift.md, COPY: ZSTD, page v2 (?)."""
    run(f"CREATE TABLE {schema}.t (a BIGINT)")
    assert "not supported" in error_of(run, lake.copy_sql(f"{schema}.t", lake.manifest_of(ONE_COLUMN, **options)))["D"]


def test_decimal_19_overflows_at_8_bytes(run: Run, schema: str, lake: Lake) -> None:
    """redshift.md, Types: DECIMAL(19,s) is stored in 8 bytes and overflows at 2^63-1."""
    run(f"CREATE TABLE {schema}.t (a DECIMAL(19,0), b DECIMAL(19,2))")
    most, more = Decimal(2**63 - 1), Decimal(2**63)
    kinds = pa.decimal128(19, 0), pa.decimal128(19, 2)
    table = pa.table({"a": pa.array([most], kinds[0]), "b": pa.array([most / 100], kinds[1])})
    run(lake.copy_sql(f"{schema}.t", lake.manifest_of(table)))
    table = pa.table({"a": pa.array([more], kinds[0]), "b": pa.array([Decimal(0)], kinds[1])})
    error = error_of(run, lake.copy_sql(f"{schema}.t", lake.manifest_of(table)))
    assert error["M"] == "Numeric data overflow (result precision)"
    assert "overflow" in error_of(run, f"INSERT INTO {schema}.t VALUES (0, 92233720368547758.08)")["M"]
    run(f"CREATE TEMP TABLE stg (LIKE {schema}.t)")
    assert "overflow" in error_of(run, f"INSERT INTO stg VALUES ({more}, 0)")["M"]


def test_varbyte_and_super(run: Run, schema: str, lake: Lake) -> None:
    """redshift.md, COPY: SUPER needs SERIALIZETOJSON, text lands as a SUPER string; JSON_PARSE on the way on."""
    run(f"CREATE TABLE {schema}.t (v VARBYTE(4), s SUPER)")
    table = pa.table({"v": pa.array([b"\x00\xff", None]), "s": ['{"a": "é"}', None]})
    url = lake.manifest_of(table)
    assert error_of(run, lake.copy_sql(f"{schema}.t", url))["C"] == "0A000"
    run(lake.copy_sql(f"{schema}.t", url, options="SERIALIZETOJSON"))
    assert run(f"SELECT to_hex(v), s FROM {schema}.t ORDER BY 1") == [["00ff", '"{\\"a\\": \\"é\\"}"'], [None, None]]
    assert run('SELECT json_parse(\'{"a": "é"}\')') == [['{"a": "é"}']]
    long = pa.table({"v": pa.array([b"12345"]), "s": ["x"]})
    assert (
        "Table: 4, Data: 5"
        in error_of(run, lake.copy_sql(f"{schema}.t", lake.manifest_of(long), options="SERIALIZETOJSON"))["D"]
    )
    long = pa.table({"v": pa.array([b"1"]), "s": ["x" * 65536]})
    assert (
        "Table: 65535, Data: 65536"
        in error_of(run, lake.copy_sql(f"{schema}.t", lake.manifest_of(long), options="SERIALIZETOJSON"))["D"]
    )


def test_identity_columns_need_explicit_ids(run: Run, schema: str, lake: Lake) -> None:
    """AWS documentation, COPY, EXPLICIT_IDS."""
    run(f"CREATE TABLE {schema}.t (i BIGINT IDENTITY(7, 2), a BIGINT)")
    run(lake.copy_sql(f"{schema}.t", lake.manifest_of(pa.table({"a": pa.array([1, 2], pa.int64())}))))
    assert run(f"SELECT i, a FROM {schema}.t ORDER BY a") == [[7, 1], [9, 2]]
    both = lake.manifest_of(pa.table({"i": pa.array([100], pa.int64()), "a": pa.array([3], pa.int64())}))
    assert error_of(run, lake.copy_sql(f"{schema}.t", both, "(i, a)"))["C"] == "0A000"
    run(lake.copy_sql(f"{schema}.t", both, "(i, a)", "EXPLICIT_IDS"))
    assert run(f"SELECT i FROM {schema}.t WHERE a = 3") == [[100]]


def test_columns_left_out_take_their_default(run: Run, schema: str, lake: Lake) -> None:
    run(f"CREATE TABLE {schema}.t (a BIGINT, b VARCHAR(9) DEFAULT 'none', c BIGINT)")
    run(lake.copy_sql(f"{schema}.t", lake.manifest_of(ONE_COLUMN), "(a)"))
    assert run(f"SELECT * FROM {schema}.t") == [[1, "none", None]]
    assert error_of(run, lake.copy_sql(f"{schema}.t", lake.manifest_of(ONE_COLUMN), "(x)"))["C"] == "42703"
    assert error_of(run, lake.copy_sql(f"{schema}.u", lake.manifest_of(ONE_COLUMN)))["C"] == "42P01"


def test_who_may_read_the_files(run: Run, schema: str, lake: Lake, standin: StandIn) -> None:
    """redshift.md, COPY: IAM_ROLE {default | 'arn'} or keys."""
    run(f"CREATE TABLE {schema}.t (a BIGINT)")
    url = lake.manifest_of(ONE_COLUMN)
    s3 = standin._s3.account
    tail = "FORMAT AS PARQUET MANIFEST"
    run(f"COPY {schema}.t FROM '{url}' IAM_ROLE default {tail}")
    run(f"COPY {schema}.t FROM '{url}' ACCESS_KEY_ID '{s3.access_key}' SECRET_ACCESS_KEY '{s3.secret_key}' {tail}")
    given = f"aws_access_key_id={s3.access_key};aws_secret_access_key={s3.secret_key}"
    run(f"COPY {schema}.t FROM '{url}' CREDENTIALS '{given}' {tail}")
    assert run(f"SELECT count(*) FROM {schema}.t") == [[3]]
    error = error_of(run, f"COPY {schema}.t FROM '{url}' IAM_ROLE 'arn:aws:iam::123456789012:role/other' {tail}")
    assert error["M"] == "Not authorized to get credentials of role arn:aws:iam::123456789012:role/other"
    error = error_of(run, f"COPY {schema}.t FROM '{url}' ACCESS_KEY_ID 'AKIAX' SECRET_ACCESS_KEY 'x' {tail}")
    assert "Status 403,Error InvalidAccessKeyId" in error["M"]


def test_a_failed_copy_fails_the_transaction(connect: Callable[..., object], schema: str, lake: Lake) -> None:
    """redshift.md, COPY: any error aborts the whole COPY."""
    cursor = connect(autocommit=False).cursor()  # type: ignore[attr-defined]
    cursor.execute(f"CREATE TABLE {schema}.t (a BIGINT)")
    good = lake.entry(parquet_bytes(ONE_COLUMN))
    bad = lake.entry(parquet_bytes(pa.table({"a": pa.array([1], pa.int32())})))
    error_of(cursor.execute, lake.copy_sql(f"{schema}.t", lake.manifest([good, bad])))
    assert error_of(cursor.execute, f"SELECT count(*) FROM {schema}.t")["C"] == "25P02"
    assert error_of(cursor.execute, f"COPY {schema}.t FROM 's3://b/k' IAM_ROLE default FORMAT PARQUET")["C"] == "25P02"
    cursor.execute("ROLLBACK")
    assert error_of(cursor.execute, f"SELECT count(*) FROM {schema}.t")["C"] == "42P01"


def test_the_history_outlives_a_rollback(connect: Callable[..., object], run: Run, schema: str, lake: Lake) -> None:
    """redshift.md, Transactions: SYS_LOAD_ERROR_DETAIL has the full Parquet message, read on a fresh transaction."""
    run(f"CREATE TABLE {schema}.t (name VARCHAR(2))")
    connection = connect(autocommit=False)
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute(lake.copy_sql(f"{schema}.t", lake.manifest_of(pa.table({"x": ["ab"]}))))
    cursor.execute("SELECT pg_last_copy_id()")
    (first,) = cursor.fetchone()
    error = error_of(cursor.execute, lake.copy_sql(f"{schema}.t", lake.manifest_of(pa.table({"x": ["abc"]}))))
    connection.rollback()  # type: ignore[attr-defined]
    cursor.execute("SELECT pg_last_copy_id(), pg_last_copy_count()")
    assert cursor.fetchone() == [-1, 0]
    told = re.search(r"query: +(\d+)\n", error["D"])
    assert told
    second = int(told[1])
    assert second > first
    columns = "status, loaded_rows, error_count, source_file_count, file_format, table_name"
    assert run(f"SELECT {columns} FROM sys_load_history WHERE query_id = {first}") == [
        ["completed", 1, 0, 1, "parquet", "t"]
    ]
    assert run(f"SELECT {columns} FROM sys_load_history WHERE query_id = {second}") == [
        ["aborted", 0, 1, 1, "parquet", "t"]
    ]
    ((code, column, kind, length, message),) = run(
        "SELECT error_code, trim(column_name), column_type, column_length, error_message FROM sys_load_error_detail "
        f"WHERE query_id = {second}"
    )
    # AWS documentation: the texts are CHAR, cut and padded.
    assert (code, column, kind, length) == (15007, "name", "character ", "2         ")
    assert "Table: 2, Data: 3" in str(message)


def test_the_last_copy_is_one_that_began_to_load(run: Run, schema: str, lake: Lake) -> None:
    """AWS documentation, PG_LAST_COPY_ID and PG_LAST_COPY_COUNT: of the last COPY whose load began, failed or not."""
    run(f"CREATE TABLE {schema}.t (name VARCHAR(2))")
    assert run("SELECT pg_last_copy_id(), pg_last_copy_count()") == [[-1, 0]]
    fits = lake.copy_sql(f"{schema}.t", lake.manifest_of(pa.table({"x": ["ab", "c"]})))
    run(fits)
    ((first, count),) = run("SELECT pg_last_copy_id(), pg_last_copy_count()")
    assert count == 2
    error_of(run, fits.replace(lake.role, "arn:aws:iam::1:role/other"))
    error_of(run, lake.copy_sql(f"{schema}.t", "s3://nowhere/m"))
    error_of(run, f"{fits} REGION 'eu-west-1'")
    assert run("SELECT pg_last_copy_id(), pg_last_copy_count()") == [[first, 2]]
    error_of(run, lake.copy_sql(f"{schema}.t", lake.manifest_of(pa.table({"x": ["abc"]}))))
    ((second, count),) = run("SELECT pg_last_copy_id(), pg_last_copy_count()")
    assert count == 0
    assert int(str(second)) > int(str(first))
    assert run(f"SELECT query_id, trim(column_name) FROM sys_load_error_detail WHERE query_id = {second}") == [
        [second, "name"]
    ]


def test_a_prefix_loads_every_object_under_it(run: Run, schema: str, lake: Lake) -> None:
    """AWS documentation, COPY from Amazon S3, key prefix."""
    run(f"CREATE TABLE {schema}.t (a BIGINT)")
    for n in range(3):
        lake.put(parquet_bytes(ONE_COLUMN), f"prefix-{schema}/{n}.parquet")
    tail = f"IAM_ROLE '{lake.role}' FORMAT AS PARQUET"
    run(f"COPY {schema}.t FROM 's3://{lake.bucket}/prefix-{schema}/' {tail}")
    assert run(f"SELECT count(*) FROM {schema}.t") == [[3]]
    assert "does not exist" in error_of(run, f"COPY {schema}.t FROM 's3://{lake.bucket}/no-such-prefix' {tail}")["M"]


def test_many_files_are_one_load(run: Run, schema: str, lake: Lake) -> None:
    run(f"CREATE TABLE {schema}.t (a BIGINT)")
    entries = [
        lake.entry(parquet_bytes(pa.table({"a": pa.array(range(n, n + 10), pa.int64())}))) for n in range(0, 2000, 10)
    ]
    run(lake.copy_sql(f"{schema}.t", lake.manifest(entries)))
    assert run(f"SELECT count(*), count(DISTINCT a), sum(a) FROM {schema}.t") == [[2000, 2000, 1999 * 1000]]
    run(lake.copy_sql(f"{schema}.t", lake.manifest([])))
    assert run("SELECT pg_last_copy_count()") == [[0]]
