"""Names of tables behind ``-t`` when TAB is pressed: from the settings file, S3 and MySQL, in a second, in silence.

S3 and MySQL are asked by a process each, so that one that hangs is ended and nothing it says is seen.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from ..config import Settings
from ..engine.effective import read_effective
from ..engine.inventory import known_tables
from ..engine.tasks import open_store
from ..model import TableName
from ..source.catalog import Endpoint, open_catalog
from ..storage.references import References
from ..tunnel import open_source_tunnel

SECONDS = 1.0
"""How long S3 and MySQL may take together; what they said by then is offered."""
_PLAIN = re.compile(r"[\w.-]+")
"""Names that no shell takes apart."""

Ask = Callable[[Settings], Iterable[TableName]]


def complete_tables(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The tables of the settings file, those that S3 knows, and the source's."""
    return _complete(context, incomplete, (_stored, _at_the_source))


def complete_stored(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The tables of the settings file and those that S3 knows."""
    return _complete(context, incomplete, (_stored,))


def _complete(context: click.Context, incomplete: str, sources: Iterable[Ask]) -> list[CompletionItem]:
    file: Path | None = context.find_root().params.get("config_file")
    settings = read_effective(config_file=file, dotenv=Path(".env")).settings
    configured = [pattern for pattern in settings.tables if "." in pattern]
    names = _names_within(SECONDS, [_process(ask, file) for ask in sources])
    return [CompletionItem(name) for name in matches({*configured, *names}, incomplete, settings.db_database)]


def matches(names: Iterable[str], incomplete: str, database: str) -> list[str]:
    """The names that begin so, in order; a table of DB_DATABASE by its own name, too, where that was begun."""
    found = set()
    for name in filter(_PLAIN.fullmatch, names):
        schema, _, table = name.partition(".")
        if name.startswith(incomplete):
            found.add(name)
        elif schema == database and table.startswith(incomplete):
            found.add(table)
    return sorted(found)


def _stored(settings: Settings) -> Iterable[TableName]:
    return known_tables(open_store(settings), settings)


def _at_the_source(settings: Settings) -> Iterable[TableName]:
    with open_source_tunnel(settings) as (host, port), open_catalog(settings, Endpoint(host, port)) as catalog:
        return catalog.table_names(("*.*",))


def _process(ask: Ask, file: Path | None) -> tuple[int, int]:
    """A process that asks, and the pipe its answer comes through."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            settings = Settings.load(config_file=file, dotenv=Path(".env"), resolve=References())
            with os.fdopen(theirs, "w", encoding="utf-8") as pipe:
                pipe.writelines(f"{name}\n" for name in ask(settings))
        finally:
            os._exit(0)  # whatever went wrong: there is nobody to tell
    os.close(theirs)
    return child, ours


def _names_within(seconds: float, processes: Iterable[tuple[int, int]]) -> list[str]:
    """The whole lines that processes wrote until all had ended or the time was over; none of them is left."""
    end, said = time.monotonic() + seconds, dict[int, bytes]()
    with selectors.DefaultSelector() as pipes:
        for child, pipe in processes:
            pipes.register(pipe, selectors.EVENT_READ, child)
        while pipes.get_map() and (left := end - time.monotonic()) > 0:
            for key, _ in pipes.select(left):
                part = os.read(key.fd, 65536)
                said[key.data] = said.get(key.data, b"") + part
                if not part:
                    _end(pipes.unregister(key.fileobj))
        for key in list(pipes.get_map().values()):
            _end(key)
    return [name for text in said.values() for name in text.decode(errors="replace").split("\n")[:-1]]


def _end(key: selectors.SelectorKey) -> None:
    os.kill(key.data, signal.SIGKILL)
    os.waitpid(key.data, 0)
    os.close(key.fd)
