"""TableState <-> the JSON object on S3.

The first fields are those people's scripts read; the rest is what the design needs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TypeAlias, cast

import orjson

from ..errors import LedgerError
from ..model import Chunk, Cut, DataFile, KeyRange, Load, TableName, Watermark, Window
from ..policies import Adjusted, Mode, RangeOrder
from ..positions import KeyValue, format_position, format_value, parse_position, parse_value
from .state import FORMAT_VERSION, Lease, OpenRun, Page, Refresh, Sealed, TableState

Json: TypeAlias = dict[str, object]


def format_state(state: TableState) -> bytes:
    """The state as indented JSON, times in UTC (ISO 8601)."""
    document: Json = {
        "table_name": str(state.table),
        "last_mysql_extraction_time": _time(state.extracted_at),
        "last_mysql_data_timestamp": cursor_text(state.extracted),
        "mysql_rows_extracted": state.rows_extracted,
        "mysql_status": state.mysql_status,
        "last_redshift_load_time": _time(state.loaded_at),
        "redshift_rows_loaded": state.rows_loaded,
        "redshift_status": state.redshift_status,
        "backup_strategy": state.backup_strategy,
        "s3_file_count": state.files_written,
        "processed_s3_files": list(state.recent_files),
        "created_at": _time(state.created_at),
        "updated_at": _time(state.updated_at),
        "format_version": FORMAT_VERSION,
        "schema": state.table.schema,
        "name": state.table.name,
        "generation": state.generation,
        "source": state.source,
        "target": state.target,
        "follows": state.follows,
        "mode": state.mode.value if state.mode else None,
        "refresh": asdict(state.refresh) if state.refresh else None,
        "extracted": format_position(state.extracted.position),
        "loaded": format_position(state.loaded.position),
        "run": format_run(state.run) if state.run else None,
        "backlog": [_page_json(f) if isinstance(f, Page) else _file_json(f) for f in state.backlog],
        "sealed": _sealed_json(state.sealed) if state.sealed else None,
        "lease": _lease_json(state.lease) if state.lease else None,
        "loads": [_load_json(load) for load in state.loads],
        "recent_changes": list(state.recent_changes),
        "last_run_id": state.last_run_id,
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def parse_state(body: bytes, key: str) -> TableState:
    """The state in an object's body.

    Raises:
        LedgerError: it is no state, or of a newer version; the object is left as it is.
    """
    try:
        document = orjson.loads(body)
        version = document["format_version"]
        if version != FORMAT_VERSION:
            raise LedgerError(
                f"{key} has format version {version}; this program reads {FORMAT_VERSION}",
                hint="use the version of s3rs-ray that wrote it, or a newer one",
            )
        return _parse(document)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError) as exc:
        raise LedgerError(
            f"{key} is not the state of a table: {f'it lacks {exc}' if isinstance(exc, KeyError) else exc}",
            hint="restore the object from the bucket's versions; or delete it, and `s3rs-ray watermark rebuild` makes"
            " it again",
        ) from exc


def _parse(d: Json) -> TableState:
    run, sealed, lease = d["run"], d["sealed"], d["lease"]
    created, updated = _parse_time(d["created_at"]), _parse_time(d["updated_at"])
    if created is None or updated is None:
        raise ValueError("created_at and updated_at must be times")
    return TableState(
        table=TableName(_text(d["schema"]), _text(d["name"])),
        generation=_text(d["generation"]),
        source=_text(d["source"]),
        target=_text(d["target"]),
        follows=_text(d["follows"]),
        mode=Mode(_text(d["mode"])) if d["mode"] else None,
        refresh=_parse_refresh(d["refresh"]),
        extracted=Watermark(position=parse_position(d["extracted"])),
        loaded=Watermark(position=parse_position(d["loaded"])),
        run=parse_run(cast(Json, run)) if run else None,
        backlog=tuple(_parse_page(f) if "page" in f else _parse_file(f) for f in _objects(d["backlog"])),
        sealed=_parse_sealed(cast(Json, sealed)) if sealed else None,
        lease=_parse_lease(cast(Json, lease)) if lease else None,
        loads=tuple(_parse_load(load) for load in _objects(d["loads"])),
        backup_strategy=_text(d["backup_strategy"]),
        extracted_at=_parse_time(d["last_mysql_extraction_time"]),
        loaded_at=_parse_time(d["last_redshift_load_time"]),
        mysql_status=_text(d["mysql_status"]),
        redshift_status=_text(d["redshift_status"]),
        rows_extracted=_int(d["mysql_rows_extracted"]),
        rows_loaded=_int(d["redshift_rows_loaded"]),
        files_written=_int(d["s3_file_count"]),
        recent_files=_texts(d["processed_s3_files"]),
        recent_changes=_texts(d["recent_changes"]),
        last_run_id=_text(d["last_run_id"]),
        created_at=created,
        updated_at=updated,
    )


def _parse_refresh(value: object) -> Refresh | None:
    if value is None:
        return None
    d = cast(Json, value)
    return Refresh(run_id=_text(d["run_id"]), extracted=bool(d["extracted"]))


def cursor_text(watermark: Watermark) -> str | None:
    """The cursor of a watermark as people write it: ``YYYY-MM-DD HH:MM:SS[.ffffff]``."""
    cursor = watermark.cursor
    return None if cursor is None else str(cursor)


def _range_json(key_range: KeyRange) -> list[object]:
    return [
        None if key_range.after is None else format_position(key_range.after),
        None if key_range.upto is None else format_position(key_range.upto),
    ]


def format_run(run: OpenRun) -> Json:
    """A run, its chunks and files: part of the state while it is open, a page of it, or a record of its own."""
    return {
        "run_id": run.run_id,
        "window": [format_position(run.window.after.position), format_position(run.window.upto.position)],
        "whole": run.window.whole,
        "mends": run.window.mends,
        "order": run.order.value,
        "columns": _columns_json(c for c in run.chunks if c.window.null_horizon is None),
        "null_horizon": _horizon_json(run.null_horizon),
        "null_columns": _columns_json(c for c in run.chunks if c.window.null_horizon is not None),
        "fingerprint": run.fingerprint,
        "strategy": run.strategy,
        "chunks": [_chunk_json(c) for c in run.chunks if c.window.null_horizon is None],
        "null_chunks": [_chunk_json(c) for c in run.chunks if c.window.null_horizon is not None],
        "planned": run.planned,
        "files": [_file_json(f) for f in run.files],
        "consumed": run.consumed,
        "first": run.first,
        "paged_rows": run.paged_rows,
        "reached": _reaches_json(run.reached),
    }


def _chunk_json(chunk: Chunk) -> list[object]:
    cuts = [[format_position(c.at), c.rows] for c in chunk.cuts]
    return [*_range_json(chunk.range), chunk.rows, cuts, [format_position(key) for key in chunk.range.keys]]


def _columns_json(chunks: Iterable[Chunk]) -> list[str]:
    return next((list(c.range.columns) for c in chunks), [])


def _horizon_json(horizon: KeyValue | None) -> object:
    return None if horizon is None else format_value(horizon)


def _parse_horizon(value: object) -> KeyValue | None:
    return None if value is None else parse_value(value)


def parse_run(d: Json) -> OpenRun:
    """The run that :func:`format_run` wrote."""
    after, upto = cast(list[object], d["window"])
    window = Window(
        after=Watermark(position=parse_position(after)),
        upto=Watermark(position=parse_position(upto)),
        whole=bool(d["whole"]),
        mends=bool(d["mends"]),
    )
    run_id, horizon = _text(d["run_id"]), _parse_horizon(d["null_horizon"])
    first = _int(d["first"])
    chunks = _parse_chunks(d["chunks"], _texts(d["columns"]), run_id, window, first)
    if horizon is not None:
        nulls = replace(window, null_horizon=horizon)
        chunks += _parse_chunks(d["null_chunks"], _texts(d["null_columns"]), run_id, nulls, first + len(chunks))
    return OpenRun(
        run_id=run_id,
        window=window,
        order=RangeOrder(_text(d["order"])),
        fingerprint=_text(d["fingerprint"]),
        strategy=_text(d["strategy"]),
        chunks=chunks,
        planned=bool(d["planned"]),
        files=parse_files(d),
        consumed=_int(d["consumed"]),
        null_horizon=horizon,
        first=first,
        paged_rows=_int(d["paged_rows"]),
        reached=_parse_reaches(d["reached"]),
    )


def _parse_chunks(
    ranges: object, columns: tuple[str, ...], run_id: str, window: Window, first: int
) -> tuple[Chunk, ...]:
    return tuple(
        Chunk(
            run_id=run_id,
            ordinal=ordinal,
            range=KeyRange(
                columns=columns,
                after=None if low is None else parse_position(low),
                upto=None if high is None else parse_position(high),
                keys=tuple(parse_position(key) for key in cast("list[object]", keys)),
            ),
            window=window,
            rows=_int(rows),
            cuts=tuple(Cut(parse_position(at), _int(held)) for at, held in cast("list[list[object]]", cuts)),
        )
        for ordinal, (low, high, rows, cuts, keys) in enumerate(cast("list[list[object]]", ranges), first)
    )


def _file_json(file: DataFile) -> Json:
    return {
        "key": file.key,
        "rows": file.rows,
        "bytes": file.bytes,
        "digest": file.digest,
        "run_id": file.run_id,
        "ordinal": file.ordinal,
        "fingerprint": file.fingerprint,
        "reaches": _reaches_json(file.reaches),
        "memory": file.memory,
        "adjusted": asdict(file.adjusted),
        "null_horizon": _horizon_json(file.null_horizon),
        "mends": file.mends,
    }


def _parse_file(d: Json) -> DataFile:
    return DataFile(
        key=_text(d["key"]),
        rows=_int(d["rows"]),
        bytes=_int(d["bytes"]),
        digest=_text(d["digest"]),
        run_id=_text(d["run_id"]),
        ordinal=_int(d["ordinal"]),
        fingerprint=_text(d["fingerprint"]),
        reaches=_parse_reaches(d["reaches"]),
        memory=_int(d["memory"]),
        adjusted=Adjusted(**{name: _int(count) for name, count in cast("Json", d["adjusted"]).items()}),
        null_horizon=_parse_horizon(d["null_horizon"]),
        mends=bool(d["mends"]),
    )


def _page_json(page: Page) -> Json:
    return {
        "page": page.key,
        "digest": page.digest,
        "run_id": page.run_id,
        "skip": page.skip,
        "files": page.files,
        "rows": page.rows,
        "bytes": page.bytes,
        "reached": _reaches_json(page.reached),
    }


def _parse_page(d: Json) -> Page:
    return Page(
        key=_text(d["page"]),
        digest=_text(d["digest"]),
        run_id=_text(d["run_id"]),
        skip=_int(d["skip"]),
        files=_int(d["files"]),
        rows=_int(d["rows"]),
        bytes=_int(d["bytes"]),
        reached=_parse_reaches(d["reached"]),
    )


def format_files(files: Iterable[DataFile]) -> Json:
    """A page of files that are of no one run."""
    return {"files": [_file_json(f) for f in files]}


def parse_files(d: Json) -> tuple[DataFile, ...]:
    """The files of a page, whichever kind it is."""
    return tuple(_parse_file(f) for f in _objects(d["files"]))


def _reaches_json(reaches: Watermark | None) -> object:
    return None if reaches is None else format_position(reaches.position)


def _parse_reaches(value: object) -> Watermark | None:
    return None if value is None else Watermark(position=parse_position(value))


def _sealed_json(sealed: Sealed) -> Json:
    return {
        "load_id": sealed.load_id,
        "run_id": sealed.run_id,
        "mode": sealed.mode.value,
        "keys": list(sealed.keys),
        "rows": sealed.rows,
        "reaches": _reaches_json(sealed.reaches),
    }


def _parse_sealed(d: Json) -> Sealed:
    return Sealed(
        load_id=_text(d["load_id"]),
        run_id=_text(d["run_id"]),
        mode=Mode(_text(d["mode"])),
        keys=_texts(d["keys"]),
        rows=_int(d["rows"]),
        reaches=_parse_reaches(d["reaches"]),
    )


def _lease_json(lease: Lease) -> Json:
    return {
        "holder": lease.holder,
        "host": lease.host,
        "pid": lease.pid,
        "since": lease.since.isoformat(),
        "renewed": lease.renewed.isoformat(),
    }


def _parse_lease(d: Json) -> Lease:
    return Lease(
        holder=_text(d["holder"]),
        host=_text(d["host"]),
        pid=_int(d["pid"]),
        since=_moment(d["since"]),
        renewed=_moment(d["renewed"]),
    )


def _load_json(load: Load) -> Json:
    return {
        "load_id": load.load_id,
        "run_id": load.run_id,
        "rows": load.rows,
        "files": load.files,
        "merged": load.merged,
        "loaded_at": load.loaded_at.isoformat(),
        "repeated": load.repeated,
        "seconds": dict(load.seconds),
    }


def _parse_load(d: Json) -> Load:
    return Load(
        load_id=_text(d["load_id"]),
        run_id=_text(d["run_id"]),
        rows=_int(d["rows"]),
        files=_int(d["files"]),
        merged=_int(d["merged"]),
        loaded_at=_moment(d["loaded_at"]),
        repeated=bool(d["repeated"]),
        seconds={str(k): float(str(v)) for k, v in cast("Mapping[str, object]", d["seconds"]).items()},
    )


def _time(moment: dt.datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _parse_time(value: object) -> dt.datetime | None:
    return None if value is None else _moment(value)


def _moment(value: object) -> dt.datetime:
    moment = dt.datetime.fromisoformat(_text(value))
    if moment.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    return moment


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _int(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not a whole number")
    return value


def _texts(values: object) -> tuple[str, ...]:
    return tuple(_text(v) for v in cast("Sequence[object]", values))


def _objects(values: object) -> Sequence[Json]:
    return cast("Sequence[Json]", values)
