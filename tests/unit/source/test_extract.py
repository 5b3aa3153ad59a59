"""The seam of ConnectorX: its URL and session, and that no cast loses anything."""

from __future__ import annotations

import datetime as dt
import socket
import threading
import time
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3rs_ray.config import Settings
from s3rs_ray.errors import IntegrityError, SourceError, SourceStalled
from s3rs_ray.model import Column, TableName
from s3rs_ray.source import extract
from s3rs_ray.source.catalog import Endpoint
from s3rs_ray.source.extract import _read_in_time, _read_rows, conform, read_chunk, session_sql, source_url
from s3rs_ray.source.types import SourceColumn, contract
from s3rs_ray.storage.parquet import write_parquet
from tests.support import build
from tests.support.build import source_column

HERE = Endpoint("127.0.0.1", 3306)


def settings(**values: Any) -> Settings:
    return Settings.load(environment={}, flags=values)


@given(user=st.text(min_size=1), password=st.text(), database=st.text())
def test_any_user_password_and_database_comes_through_the_url(user: str, password: str, database: str) -> None:
    url = source_url(settings(db_user=user, db_password=password, db_database=database), HERE)
    parts = urlsplit(url)
    assert (parts.scheme, parts.hostname, parts.port) == ("mysql", "127.0.0.1", 3306)
    assert unquote(parts.username or "") == user
    assert unquote(parts.password or "") == password
    assert unquote(parts.path[1:]) == (database or "information_schema")


def test_reserved_characters_in_user_and_password_are_quoted() -> None:
    url = source_url(settings(db_user="a@b:c", db_password="p@s%s:w/o#r?d &+"), HERE)
    assert url.startswith("mysql://a%40b%3Ac:p%40s%25s%3Aw%2Fo%23r%3Fd%20%26%2B@127.0.0.1:3306/information_schema?")


def test_the_driver_is_kept_from_the_servers_socket_and_the_connection_alive() -> None:
    options = parse_qs(urlsplit(source_url(settings(), HERE)).query)
    assert options == {
        "prefer_socket": ["false"],
        "tcp_keepalive_time_ms": ["30000"],
        "tcp_keepalive_probe_interval_secs": ["10"],
        "tcp_keepalive_probe_count": ["3"],
    }


def test_tls_is_asked_for_in_the_drivers_words() -> None:
    options = parse_qs(
        urlsplit(source_url(settings(db_ssl_mode="verify_ca", db_ssl_ca="/etc/my ca&co.pem"), HERE)).query
    )
    assert (options["ssl-mode"], options["ssl-ca"]) == (["VERIFY_CA"], ["/etc/my ca&co.pem"])


@pytest.mark.parametrize(
    ("server", "limit", "buffer"),
    [
        ("10.11.6-MariaDB-0+deb12u1", "max_statement_time=90", "mrr_buffer_size"),
        ("8.0.36", "max_execution_time=90000", "read_rnd_buffer_size"),
    ],
)
def test_the_session_is_in_utc_in_no_mode_and_bounded_in_the_servers_own_words(
    server: str, limit: str, buffer: str
) -> None:
    always = (
        "SET SESSION character_set_client=utf8mb4, character_set_connection=utf8mb4, character_set_results=utf8mb4,"
        f" sql_mode='', time_zone='+00:00', {limit}"
    )
    ordered = f", optimizer_switch='mrr=on,mrr_cost_based=off', {buffer}=8388608"
    assert session_sql(settings(backup_timeout_seconds=90), server, lookups=False) == always
    assert session_sql(settings(backup_timeout_seconds=90), server, lookups=True) == always + ordered


@pytest.mark.parametrize("host", ["not a host", "127.0.0.1:99999"])
def test_what_the_driver_says_is_told_without_the_password(host: str) -> None:
    of = build.window((), (dt.datetime(2026, 1, 1), 1))
    chunk = build.run_chunks("r", [None, None], of=of, columns=("update_at", "ID"))[0]
    secret = settings(db_user="me", db_password="s@cret")
    with pytest.raises(SourceError) as failed:
        read_chunk(build.table(), chunk, secret, Endpoint(host, 3306), server="8.0")
    told = f"{failed.value!r} {failed.value.hint} {failed.value.context} {failed.value.__cause__}"
    assert "reading from MySQL failed" in told
    assert "s@cret" not in told
    assert "s%40cret" not in told


def reading_threads() -> set[int | None]:
    return {t.ident for t in threading.enumerate() if t.name == "read"}


def test_a_read_that_stalls_is_given_up_and_its_thread_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "_idle", [])
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = source_url(settings(db_user="u", db_password="p"), Endpoint("127.0.0.1", deaf.getsockname()[1]))
        with pytest.raises(SourceStalled, match="has not answered a read for 0 s"):
            _read_in_time(url, "SELECT 1", [], 0.2)
    assert extract._idle == []


def test_a_thread_that_was_given_up_ends_with_its_read() -> None:
    before, answered = reading_threads(), threading.Event()
    thread = extract._ReadingThread()
    read = thread.start(lambda: answered.wait(30))
    thread.abandoned = True
    answered.set()
    assert read.result(30)
    deadline = time.monotonic() + 30
    while reading_threads() - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert reading_threads() <= before


def test_reads_one_after_another_share_a_thread_and_a_failed_one_does_not_end_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(extract, "_idle", [])
    before = reading_threads()
    for _ in range(3):
        with pytest.raises(SourceError):
            _read_in_time("mysql://u:p@127.0.0.1:1/d?no_such_option=1", "SELECT 1", [], 30)
    assert len(reading_threads() - before) == 1


def cast(column_type: str, values: list[Any], arrow: pa.DataType | None = None, **sizes: Any) -> list[Any]:
    """What a column of the driver's values becomes under its contract."""
    column = contract(source_column("c", column_type, **sizes))
    made = conform(pa.table({"c": pa.chunked_array([pa.array(values, arrow)])}), [column])
    values_back: list[Any] = made.column("c").to_pylist()
    return values_back


def refusal(column_type: str, values: list[Any], arrow: pa.DataType | None = None, **sizes: Any) -> IntegrityError:
    with pytest.raises(IntegrityError) as refused:
        cast(column_type, values, arrow, **sizes)
    return refused.value


def test_values_that_fit_come_through_unchanged() -> None:
    assert cast("tinyint(1)", [2, -128, None], pa.int8()) == [2, -128, None]
    assert cast("bigint(20) unsigned", [0, 2**64 - 1, None], pa.uint64()) == [Decimal(0), Decimal(2**64 - 1), None]
    assert cast("decimal(38,10)", ["9" * 28 + "." + "9" * 10, "-0.0000000001", None], precision=38, scale=10) == [
        Decimal("9" * 28 + "." + "9" * 10),
        Decimal("-0.0000000001"),
        None,
    ]
    assert cast("decimal(65,2)", ["1" * 63 + ".10"], precision=65, scale=2) == ["1" * 63 + ".10"]
    moment = dt.datetime(2026, 1, 31, 23, 59, 59, 999999)
    assert cast("datetime(6)", [moment, None], pa.timestamp("us")) == [moment, None]
    assert cast("json", ['{"b": 1.10, "a": 2}']) == ['{"b": 1.10, "a": 2}']


def test_a_timestamp_in_utc_becomes_the_same_naive_time() -> None:
    moment = dt.datetime(2026, 1, 31, 23, 59, 59, 1)
    assert cast("timestamp(6)", [moment], pa.timestamp("us", tz="UTC")) == [moment]


@pytest.mark.parametrize(
    ("column_type", "values", "arrow", "sizes"),
    [
        ("decimal(10,1)", ["1.15"], None, {"precision": 10, "scale": 1}),
        ("decimal(10,1)", ["12345678901.5"], None, {"precision": 10, "scale": 1}),
        ("decimal(10,1)", ["many"], None, {"precision": 10, "scale": 1}),
        ("smallint(6)", [40_000], pa.int32(), {}),
        ("int(11)", [2**31], pa.int64(), {}),
        ("datetime(6)", [1], pa.timestamp("ns"), {}),
        ("float", [16_777_217], pa.int64(), {}),
    ],
)
def test_a_cast_that_would_lose_something_is_refused_naming_the_column(
    column_type: str, values: list[Any], arrow: pa.DataType | None, sizes: dict[str, Any]
) -> None:
    refused = refusal(column_type, values, arrow, **sizes)
    assert f"column c ({column_type})" in refused.message
    assert refused.context == {"column": "c"}
    assert refused.hint


def test_the_columns_are_put_into_the_contracts_order_by_name() -> None:
    columns = [contract(source_column(n, "int(11)")) for n in ("a", "b")]
    made = conform(pa.table({"b": pa.array([2], pa.int32()), "a": pa.array([1], pa.int32())}), columns)
    assert made.to_pylist() == [{"a": 1, "b": 2}]
    assert made.column_names == ["a", "b"]


def test_a_chunk_without_rows_has_the_contracts_schema() -> None:
    column = contract(source_column("c", "decimal(10,2)", precision=10, scale=2))
    made = conform(pa.table({"c": pa.array([], pa.string())}), [column])
    assert made.schema == pa.schema([pa.field("c", pa.decimal128(10, 2))])


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**15), max_value=10**15))
def test_every_decimal_that_fits_is_the_decimal_that_was_printed(value: Decimal) -> None:
    assert cast("decimal(20,4)", [format(value, "f")], precision=20, scale=4) == [value]


def test_the_sign_of_zero_and_the_smallest_numbers_are_kept_in_the_file() -> None:
    columns = [contract(source_column("f", "float")), contract(source_column("d", "double"))]
    raw = pa.table({"f": pa.array([-0.0, 1e-45], pa.float32()), "d": pa.array([-0.0, 5e-324], pa.float64())})
    kept = pq.read_table(pa.BufferReader(write_parquet(conform(raw, columns), {}).body))
    assert [kept.column(n).chunk(0).view(t).to_pylist() for n, t in (("f", pa.int32()), ("d", pa.int64()))] == [
        [-(2**31), 1],
        [-(2**63), 1],
    ]


DATED = [
    contract(source_column("ID", "bigint(20)", nullable=False)),
    contract(source_column("day", "date")),
    contract(source_column("at", "datetime(6)", nullable=False)),
]
FIRST_DAY, FIRST_MOMENT = -719_162, -719_162 * 86_400_000_000


class Reader:
    """Answers the first queries with what it is given, later ones with a good row; remembers which were guarded."""

    def __init__(self, *answers: pa.Table | SourceError) -> None:
        self.answers = list(answers)
        self.guarded: list[bool] = []

    def __call__(self, query: str) -> pa.Table:
        self.guarded.append("FROM_DAYS" in query)
        answer = self.answers.pop(0) if self.answers else dated(FIRST_DAY, FIRST_MOMENT)
        if isinstance(answer, SourceError):
            raise answer
        return answer


def dated(day: int | None, moment: int) -> pa.Table:
    arrays = [pa.array([1]), pa.array([day], pa.int32()).cast(pa.date32()), pa.array([moment]).cast(pa.timestamp("us"))]
    return pa.table([pa.chunked_array([a]) for a in arrays], names=["ID", "day", "at"])


def read_rows(reader: Reader, name: str, columns: list[Column] | None = None) -> bool:
    of = build.window((), (dt.datetime(2026, 1, 1), 1))
    chunk = build.run_chunks("r", [None, None], of=of, columns=("update_at", "ID"))[0]
    return _read_rows(build.table(name=TableName("dates", name), of=columns or DATED), chunk, reader, counted=False)[1]


PANIC = SourceError("reading from MySQL failed: Couldn't convert the value `Date(\"'2024-00-10'\")` to a desired type")


@pytest.mark.parametrize(
    "met", [PANIC, dated(FIRST_DAY - 1, FIRST_MOMENT), dated(None, FIRST_MOMENT - 1)], ids=["panic", "date", "datetime"]
)
def test_a_table_is_read_with_the_guard_once_a_date_no_calendar_has_is_met(
    met: pa.Table | SourceError, request: pytest.FixtureRequest
) -> None:
    reader, name = Reader(dated(None, FIRST_MOMENT), met), request.node.name
    assert [read_rows(reader, name) for _ in range(3)] == [False, True, True]
    assert reader.guarded == [False, False, True, True]
    other = Reader()
    assert not read_rows(other, name + " of another table")


def test_texts_are_looked_at_once_a_question_mark_is_met_where_it_may_stand_for_another_character() -> None:
    old, new = (source_column("c", "varchar(9)", characters=9, character_set=name) for name in ("gbk", "utf8mb4"))
    asked: list[bool] = []

    def read(name: str, column: SourceColumn, text: str | None) -> list[bool]:
        def answer(query: str) -> pa.Table:
            asked.append("s3rs_unmapped" in query)
            return pa.table({"c": pa.chunked_array([pa.array([None, text], pa.string())])})

        asked.clear()
        of = build.window((), (dt.datetime(2026, 1, 1), 1))
        chunk = build.run_chunks("r", [None, None], of=of, columns=("update_at", "ID"))[0]
        _read_rows(build.table(name=TableName("texts", name), of=[contract(column)]), chunk, answer, counted=False)
        return list(asked)

    assert [read("a", old, text) for text in ("x", None, "x?", "y")] == [[False], [False], [False, True], [True]]
    assert read("b", old, "\ufffd") == [False, True]
    assert read("c", new, "?") == [False]


def test_any_other_failure_is_told_and_no_guard_tried() -> None:
    reader = Reader(SourceError("reading from MySQL failed: Lost connection"))
    with pytest.raises(SourceError, match="Lost connection"):
        read_rows(reader, "lost")
    assert reader.guarded == [False]
