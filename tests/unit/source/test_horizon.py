"""The horizon: what holds it back, and by how much."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3rs_ray.config import Settings
from s3rs_ray.errors import ConfigError, SourceError
from s3rs_ray.model import Table
from s3rs_ray.positions import KeyValue
from s3rs_ray.source.horizon import Horizon, find_horizon, resolution, settled_cursor
from s3rs_ray.source.types import contract
from tests.support import build

NOW = dt.datetime(2026, 2, 1, 0, 0, 9, 999_999)
REFUSED = SourceError("denied", context={"code": "1227"})


class Server:
    """Answers the questions of the horizon."""

    def __init__(
        self,
        *,
        now: object = NOW,
        zone: str = "+00:00",
        oldest: object = None,
        version: str = "10.11-MariaDB",
        channels: object = (),
    ) -> None:
        self.answers = {
            "@@global.time_zone": zone,
            "CONVERT_TZ(UTC_TIMESTAMP(6)": now,
            "INNODB_TRX": oldest,
            "VERSION()": version,
        }
        self.channels = channels
        self.asked: list[str] = []

    def query(self, sql: str, arguments: Sequence[object] = ()) -> list[tuple[object, ...]]:
        self.asked.append(sql)
        answer = next(a for text, a in self.answers.items() if text in sql)
        if isinstance(answer, SourceError):
            raise answer
        return [(answer,)]

    def query_named(self, sql: str) -> list[dict[str, object]]:
        self.asked.append(sql)
        if isinstance(self.channels, SourceError):
            raise self.channels
        assert isinstance(self.channels, Sequence)
        return list(self.channels)


def table(cursor_type: str = "datetime") -> Table:
    return build.table(of=[contract(build.source_column("update_at", cursor_type))])


def found(server: Server, cursor_type: str = "datetime", **settings: object) -> Horizon:
    given_settings = {"backup_settle_seconds": 0, **settings}
    return find_horizon(server, table(cursor_type), Settings.load(environment={}, flags=given_settings))


@pytest.mark.parametrize(
    ("kind", "unit", "horizon"),
    [
        ("datetime", "", dt.datetime(2026, 2, 1, 0, 0, 8)),
        ("datetime(6)", "", dt.datetime(2026, 2, 1, 0, 0, 9, 999_998)),
        ("datetime(3)", "", dt.datetime(2026, 2, 1, 0, 0, 9, 998_000)),
        ("datetime(1)", "", dt.datetime(2026, 2, 1, 0, 0, 9, 800_000)),
        ("timestamp", "", dt.datetime(2026, 2, 1, 0, 0, 8)),
        ("date", "", dt.date(2026, 1, 31)),
        ("bigint(20)", "seconds", 1769904008),
        ("bigint(20)", "milliseconds", 1769904009998),
        ("int(10) unsigned", "microseconds", 1769904009999998),
    ],
)
def test_the_horizon_is_the_last_value_the_clock_has_left_behind(kind: str, unit: str, horizon: KeyValue) -> None:
    assert settled_cursor(kind, NOW, unit) == horizon


@given(st.datetimes(dt.datetime(1970, 1, 2), dt.datetime(2100, 1, 1)), st.integers(0, 6))
def test_a_settled_value_is_one_step_before_any_that_may_still_be_written(bound: dt.datetime, digits: int) -> None:
    kind = f"datetime({digits})" if digits else "datetime"
    step = resolution(kind)
    settled = settled_cursor(kind, bound, "")
    assert isinstance(settled, dt.datetime)
    assert settled + step <= bound < settled + 2 * step
    assert settled.microsecond % (step // dt.timedelta(microseconds=1)) == 0


def test_an_integer_cursor_needs_its_unit() -> None:
    with pytest.raises(ConfigError) as refused:
        settled_cursor("bigint(20)", NOW, "")
    assert "BACKUP_CURSOR_UNIT" in refused.value.hint


def test_the_settle_time_the_oldest_writer_and_the_replicas_lag_are_not_added_the_longest_counts() -> None:
    lag = [{"Seconds_Behind_Master": 20}]
    server = Server(oldest=30, channels=lag)
    assert found(server, backup_settle_seconds=10).upto == NOW.replace(microsecond=0) - dt.timedelta(seconds=31)
    assert found(server, backup_settle_seconds=40).upto == NOW.replace(microsecond=0) - dt.timedelta(seconds=41)
    assert found(Server(oldest=3, channels=lag)).upto == NOW.replace(microsecond=0) - dt.timedelta(seconds=21)


def test_what_holds_the_window_back_is_said() -> None:
    said = found(Server(oldest=30, channels=[{"Seconds_Behind_Master": 20}])).reasons
    assert len(said) == 2
    assert "a transaction that writes has been open for 30 s" in said[0]
    assert "the replica is 20 s behind" in said[1]
    assert found(Server(channels=[{"Seconds_Behind_Master": 0}])).reasons == ()


def test_the_slowest_channel_of_a_replica_counts() -> None:
    server = Server(channels=[{"Seconds_Behind_Master": 2}, {"Seconds_Behind_Source": 7}])
    assert found(server).upto == NOW.replace(microsecond=0) - dt.timedelta(seconds=8)


def test_a_replica_that_has_stopped_is_refused() -> None:
    with pytest.raises(SourceError, match="replication does not run") as refused:
        found(Server(channels=[{"Seconds_Behind_Source": None}]))
    assert refused.value.hint


@pytest.mark.parametrize(
    ("version", "statement"), [("10.11-MariaDB", "SHOW ALL SLAVES STATUS"), ("8.0.36", "SHOW REPLICA STATUS")]
)
def test_each_server_is_asked_in_its_own_words(version: str, statement: str) -> None:
    server = Server(version=version)
    found(server)
    assert server.asked[-1] == statement


def test_without_the_privileges_the_settle_time_guards_alone_and_that_is_said() -> None:
    horizon = found(Server(oldest=REFUSED, channels=REFUSED), backup_settle_seconds=5)
    assert horizon.upto == NOW.replace(microsecond=0) - dt.timedelta(seconds=6)
    assert any("no PROCESS privilege" in r for r in horizon.reasons)
    assert any("no REPLICATION CLIENT privilege" in r for r in horizon.reasons)


@pytest.mark.parametrize("broken", ["oldest", "channels"])
def test_any_other_failure_is_not_taken_for_a_missing_privilege(broken: str) -> None:
    failure = SourceError("gone", context={"code": "2013"})
    server = Server(oldest=failure) if broken == "oldest" else Server(channels=failure)
    with pytest.raises(SourceError, match="gone"):
        found(server)


@pytest.mark.parametrize(
    ("cursor_type", "setting", "zone"),
    [
        ("datetime", "", "+02:00"),
        ("datetime(6)", "+08:00", "+08:00"),
        ("timestamp", "+08:00", "+00:00"),
        ("date", "", "+02:00"),
        ("bigint(20)", "+08:00", "+00:00"),
    ],
)
def test_a_cursor_is_compared_in_the_zone_it_was_written_in(cursor_type: str, setting: str, zone: str) -> None:
    server = Server(zone="+02:00")
    found(server, cursor_type, backup_cursor_time_zone=setting, backup_cursor_unit="seconds")
    [asked] = [sql for sql in server.asked if "CONVERT_TZ(UTC_TIMESTAMP(6)" in sql]
    assert asked.endswith(f"_utf8mb4 x'{zone.encode().hex()}')")


def test_a_time_zone_the_server_does_not_know_is_refused_with_the_setting_to_change() -> None:
    with pytest.raises(ConfigError) as refused:
        found(Server(now=None), backup_cursor_time_zone="Mars/Base")
    assert "Mars/Base" in refused.value.message
    assert "BACKUP_CURSOR_TIME_ZONE" in refused.value.hint
