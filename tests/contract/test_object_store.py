"""What every ObjectStore does: one suite for the one in memory and for S3 over HTTP."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pyarrow as pa
import pytest

from s3rs_ray.config import Settings
from s3rs_ray.errors import ObjectNotFound, PreconditionFailed, StorageError
from s3rs_ray.local.s3 import S3
from s3rs_ray.storage.s3 import ObjectStore, S3Store
from tests.support.memory_store import MemoryStore
from tests.support.s3_policy import no_deletion
from tests.support.s3_proxy import S3Fault, s3_proxy


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A server that checks signatures."""
    with S3(tmp_path_factory.mktemp("s3")) as server:
        account = server.account
        yield Settings.load(
            environment={
                "S3_BUCKET_NAME": account.bucket,
                "S3_ACCESS_KEY": account.access_key,
                "S3_SECRET_KEY": account.secret_key,
                "S3_REGION": account.region,
                "S3_ENDPOINT_URL": server.endpoint_url,
            }
        )


@pytest.fixture(scope="module")
def over_http(settings: Settings) -> S3Store:
    """The product's own store."""
    return S3Store(settings)


@pytest.fixture(params=["memory", "http"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    chosen: ObjectStore = MemoryStore() if request.param == "memory" else request.getfixturevalue("over_http")
    return chosen


@pytest.fixture
def prefix() -> str:
    """A place of the test's own."""
    return f"test-{secrets.token_hex(6)}/"


def test_an_object_comes_back_with_all_that_was_written(store: ObjectStore, prefix: str) -> None:
    body = bytes(range(256)) * 10
    version = store.put_new(f"{prefix}a", body, {"s3rs-rows": "7", "s3rs-reaches": "%5B1%5D"})
    for found in (store.get(f"{prefix}a"), store.head(f"{prefix}a")):
        assert (found.key, found.version, found.size) == (f"{prefix}a", version, len(body))
        assert dict(found.metadata) == {"s3rs-rows": "7", "s3rs-reaches": "%5B1%5D"}
        assert abs(found.modified - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)
    assert store.get(f"{prefix}a").body == body
    assert store.head(f"{prefix}a").body == b""


def test_a_buffer_is_written_as_its_bytes(store: ObjectStore, prefix: str) -> None:
    store.put_new(f"{prefix}a", pa.py_buffer(b"parquet"))
    assert store.get(f"{prefix}a").body == b"parquet"


def test_an_empty_object_is_an_object(store: ObjectStore, prefix: str) -> None:
    store.put_new(f"{prefix}a", b"")
    assert (store.get(f"{prefix}a").body, store.head(f"{prefix}a").size) == (b"", 0)


@pytest.mark.parametrize("key", ["a b", "a+b", "a%2Fb", "包裹.parquet", "a/b/../c", "year=2026/x!2E", "a//b"])
def test_a_key_is_taken_letter_by_letter(store: ObjectStore, prefix: str, key: str) -> None:
    store.put_new(prefix + key, b"x")
    assert store.get(prefix + key).body == b"x"
    assert [o.key for o in store.list(prefix)] == [prefix + key]


def test_a_key_that_is_not_there_is_told_apart_from_other_failures(store: ObjectStore, prefix: str) -> None:
    for look in (store.get, store.head):
        with pytest.raises(ObjectNotFound):
            look(f"{prefix}none")


def test_a_new_object_never_replaces_another(store: ObjectStore, prefix: str) -> None:
    version = store.put_new(f"{prefix}a", b"first")
    with pytest.raises(PreconditionFailed):
        store.put_new(f"{prefix}a", b"second")
    found = store.get(f"{prefix}a")
    assert (found.body, found.version) == (b"first", version)


def test_a_key_is_free_again_after_its_object_was_deleted(store: ObjectStore, prefix: str) -> None:
    store.put_new(f"{prefix}a", b"first")
    store.delete([f"{prefix}a"])
    store.put_new(f"{prefix}a", b"second")
    assert store.get(f"{prefix}a").body == b"second"


def test_exactly_the_version_that_was_read_is_replaced(store: ObjectStore, prefix: str) -> None:
    first = store.put_new(f"{prefix}a", b"first")
    second = store.put_if(f"{prefix}a", b"second", first)
    assert first != second
    assert store.get(f"{prefix}a").version == second
    with pytest.raises(PreconditionFailed):
        store.put_if(f"{prefix}a", b"third", first)
    assert store.get(f"{prefix}a").body == b"second"


def test_an_object_that_is_gone_is_not_replaced(store: ObjectStore, prefix: str) -> None:
    version = store.put_new(f"{prefix}a", b"first")
    store.delete([f"{prefix}a"])
    with pytest.raises(StorageError):
        store.put_if(f"{prefix}a", b"second", version)
    with pytest.raises(ObjectNotFound):
        store.head(f"{prefix}a")


WRITERS = 20


def winners(write: Callable[[int], object]) -> list[int]:
    """Which of twenty writers at once got through."""
    barrier = Barrier(WRITERS)

    def attempt(number: int) -> int | None:
        barrier.wait()
        try:
            write(number)
        except PreconditionFailed:
            return None
        return number

    with ThreadPoolExecutor(WRITERS) as pool:
        return [n for n in pool.map(attempt, range(WRITERS)) if n is not None]


def test_of_twenty_that_create_an_object_at_once_one_wins(store: ObjectStore, prefix: str) -> None:
    won = winners(lambda n: store.put_new(f"{prefix}a", str(n).encode()))
    assert [store.get(f"{prefix}a").body] == [str(n).encode() for n in won]


def test_of_twenty_that_replace_one_version_at_once_one_wins(store: ObjectStore, prefix: str) -> None:
    version = store.put_new(f"{prefix}a", b"start")
    won = winners(lambda n: store.put_if(f"{prefix}a", str(n).encode(), version))
    assert [store.get(f"{prefix}a").body] == [str(n).encode() for n in won]


def test_more_objects_than_a_page_holds_are_all_listed_in_order_and_deleted(store: ObjectStore, prefix: str) -> None:
    keys = [f"{prefix}{n:05d}" for n in range(2001)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.put_new(key, b"x"), keys))
    store.put_new(f"{prefix[:-1]}-other", b"x")
    listed = list(store.list(prefix))
    assert [o.key for o in listed] == keys
    assert {(o.size, bool(o.version)) for o in listed} == {(1, True)}
    assert store.delete(iter(keys)) == {}
    assert list(store.list(prefix)) == []
    assert store.head(f"{prefix[:-1]}-other").size == 1


def test_a_listing_tells_the_version_and_time_of_each_object(store: ObjectStore, prefix: str) -> None:
    version = store.put_new(f"{prefix}a", b"x")
    [found] = store.list(prefix)
    assert found.version == version
    assert abs(found.modified - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)


def test_nothing_below_a_prefix_is_an_empty_listing(store: ObjectStore, prefix: str) -> None:
    assert list(store.list(prefix)) == []


def test_deleting_what_is_not_there_is_no_failure(store: ObjectStore, prefix: str) -> None:
    store.put_new(f"{prefix}a", b"x")
    assert store.delete([f"{prefix}a", f"{prefix}none"]) == {}
    assert store.delete([]) == {}


def test_a_key_that_may_not_be_deleted_is_told_and_the_others_go(over_http: S3Store, prefix: str) -> None:
    keys = [f"{prefix}{n}" for n in range(5)]
    for key in keys:
        over_http.put_new(key, b"x")
    with no_deletion(over_http, keys[1], keys[3]):
        refused = over_http.delete(keys)
    assert refused == dict.fromkeys((keys[1], keys[3]), "AccessDenied: Access Denied")
    assert [o.key for o in over_http.list(prefix)] == [keys[1], keys[3]]


def test_a_key_that_s3_was_too_busy_for_is_tried_again_and_no_other(
    over_http: S3Store, settings: Settings, prefix: str
) -> None:
    keys = [f"{prefix}{n}" for n in range(3)]
    for key in keys:
        over_http.put_new(key, b"x")
    errors = "".join(f"<Error><Key>{k}</Key><Code>SlowDown</Code><Message>…</Message></Error>" for k in keys[:2])
    busy = S3Fault(key=r"\?delete", method="POST", times=2, status=200, body=f"<DeleteResult>{errors}</DeleteResult>")
    with s3_proxy(settings.s3_endpoint_url) as proxy:
        through = S3Store(settings.model_copy(update={"s3_endpoint_url": proxy.url}))
        proxy.set(busy)
        assert through.delete(keys) == {}
        assert [o.key for o in over_http.list(prefix)] == keys[2:]  # the third was never asked for again
        proxy.set(S3Fault(key=r"\?delete", method="POST", times=0, status=200, body=busy.body))
        assert through.delete(keys[:2]) == dict.fromkeys(keys[:2], "SlowDown: …")
        assert busy.struck == 2


def test_folders_are_told_once_in_order_and_objects_beside_them_are_none(store: ObjectStore, prefix: str) -> None:
    for key in ("b.t/year=2026/1", "a.t/1", "b.t/year=2026/2", "b.tt/1", "loose", "c!2E/d/e"):
        store.put_new(prefix + key, b"x")
    assert list(store.folders(prefix)) == ["a.t", "b.t", "b.tt", "c!2E"]
    assert list(store.folders(f"{prefix}b.t/")) == ["year=2026"]
    assert list(store.folders(f"{prefix}none/")) == []


def test_the_address_of_a_key_is_the_one_copy_takes(store: ObjectStore) -> None:
    assert store.url("manifests/a.manifest").startswith("s3://")
    assert store.url("manifests/a.manifest").endswith("/manifests/a.manifest")


def test_a_part_of_an_object_is_read_alone(store: ObjectStore, prefix: str) -> None:
    store.put_new(f"{prefix}a", bytes(range(100)))
    assert store.get_part(f"{prefix}a", 0, 3) == bytes([0, 1, 2])
    assert store.get_part(f"{prefix}a", 97, 10) == bytes([97, 98, 99])
    with pytest.raises(ObjectNotFound):
        store.get_part(f"{prefix}none", 0, 1)
