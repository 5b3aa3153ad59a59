"""The connection to Redshift: the only execute, the transaction, the errors. redshift_connector lives here."""

from __future__ import annotations

import logging
import struct
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import redshift_connector
from botocore.exceptions import BotoCoreError, ClientError
from redshift_connector import error as driver_errors

from ..config import Settings
from ..errors import CommitUnknown, LoadConflict, WarehouseError, WarehouseUnavailable
from .login import aws_error, login_arguments
from .sql import statement_timeout_sql

log = logging.getLogger(__name__)

CONFLICT_CODES = frozenset({"40001", "40P01"})
CONFLICT_NUMBERS = frozenset({"1023", "1018"})
CONFLICT_TEXTS = ("Serializable isolation violation", "conflict with concurrent transaction")
"""What Redshift says of a conflict: a number as the whole message, or one of the texts in it."""
NO_PRIVILEGE = "42501"
LOGIN_CODES = frozenset({"28000", "28P01"})
LOST = (OSError, struct.error, AttributeError)
"""What a dead socket looks like inside the driver, besides its own InterfaceError."""


@contextmanager
def open_warehouse(settings: Settings, tunnel: str = "") -> Iterator[Warehouse]:
    """A session in autocommit mode with a statement time limit on the server's side.

    Args:
        tunnel: the unix socket of a tunnel to Redshift; empty for a direct connection. The host stays Redshift's own
            name in either case, so that its certificate is verified against it.

    Raises:
        ConfigError: the settings of the login contradict each other.
        WarehouseUnavailable: within ``REDSHIFT_CONNECT_TIMEOUT_SECONDS``, naming host and reason.
    """
    connection = _connect(settings, tunnel)
    try:
        warehouse = Warehouse(connection)
        warehouse.execute(statement_timeout_sql(settings.redshift_statement_timeout_seconds))
        yield warehouse
    finally:
        with suppress(driver_errors.Error, *LOST):
            connection.close()


def _connect(settings: Settings, tunnel: str) -> redshift_connector.Connection:
    arguments = login_arguments(settings)
    # The session's own keepalives; behind a tunnel those of SSH do it, as a unix socket has none.
    keepalive = {"tcp_keepalive_idle": 30, "tcp_keepalive_interval": 10, "tcp_keepalive_count": 3}
    route = {"unix_sock": tunnel, "tcp_keepalive": False} if tunnel else {"tcp_keepalive": True, **keepalive}
    try:
        connection = _log_in(
            host=settings.redshift_host,
            port=settings.redshift_port,
            database=settings.redshift_database,
            timeout=settings.redshift_connect_timeout_seconds,
            max_prepared_statements=0,  # cached statements break after DDL
            application_name="s3rs-ray",
            **route,
            **arguments,
        )
    except (BotoCoreError, ClientError) as exc:
        raise aws_error(settings, exc) from None  # its text may quote the signed request
    except driver_errors.Error as exc:
        if exc.args and isinstance(exc.args[0], BotoCoreError | ClientError):
            raise aws_error(settings, exc.args[0]) from None
        raise _refusal(settings, exc) from exc
    except (OSError, struct.error, AttributeError) as exc:  # a socket that dies during the login
        raise _unreachable(settings, str(exc)) from exc
    # The driver's timeout limits every later read too and would kill a long COPY: from here on keepalives and the
    # server's statement_timeout bound the wait.
    connection._usock.settimeout(None)
    connection.autocommit = True
    return connection


def _log_in(**arguments: object) -> redshift_connector.Connection:
    """The driver's own connect, without the socket that it leaves open where a login fails (2.2).

    It raises out of a constructor, so nobody is given what has to be closed; the object is in the frames of the error,
    in a cycle that only the garbage collector would end, and with it a connection of the cluster's.
    """
    try:
        return redshift_connector.connect(**arguments)
    except BaseException as exc:
        for frame, _ in traceback.walk_tb(exc.__traceback__):
            begun = frame.f_locals.get("self")
            if isinstance(begun, redshift_connector.Connection):
                for end in (vars(begun).get("_sock"), vars(begun).get("_usock")):  # the buffered file holds the socket
                    with suppress(OSError, ValueError):
                        if end is not None:
                            end.close()
        raise


def _refusal(settings: Settings, exc: driver_errors.Error) -> WarehouseUnavailable:
    fields = _fields(exc)
    where = f"{settings.redshift_host}:{settings.redshift_port}"
    if fields.get("C") in LOGIN_CODES:
        hint = "check REDSHIFT_USER and REDSHIFT_PASSWORD"
        if settings.redshift_iam:
            hint = "the user must exist in the database, or REDSHIFT_AUTO_CREATE be set; check that host and name agree"
        who = f" {settings.redshift_user}" if settings.redshift_user else ""
        return WarehouseUnavailable(f"Redshift at {where} refused user{who}: {fields.get('M', '')}", hint=hint)
    if fields:
        return WarehouseUnavailable(
            f"Redshift at {where} refused the session: {fields.get('M', '')}", hint="check REDSHIFT_DATABASE"
        )
    return _unreachable(settings, ", ".join(map(str, exc.args)))


def _unreachable(settings: Settings, reason: str) -> WarehouseUnavailable:
    hint = "check REDSHIFT_HOST, REDSHIFT_PORT and the network, security group or bastion"
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        hint = (
            "REDSHIFT_HOST must be a name in the certificate; REDSHIFT_SSL_MODE=verify-ca leaves the name unchecked,"
            " SSL_CERT_FILE names a CA of your own"
        )
    elif "refuses SSL" in reason:  # what the driver says when nothing answers, too
        reason = "it takes no TLS, or a bastion could not reach it"
    return WarehouseUnavailable(
        f"cannot reach Redshift at {settings.redshift_host}:{settings.redshift_port}: {reason}", hint=hint
    )


def _fields(exc: BaseException) -> dict[str, str]:
    """The server's error fields by their one-letter names (PostgreSQL protocol, ErrorResponse); empty if local."""
    first = exc.args[0] if exc.args else None
    return {str(k): str(v) for k, v in first.items()} if isinstance(first, dict) else {}


class Warehouse:
    """One session."""

    def __init__(self, connection: redshift_connector.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, arguments: Sequence[object] = (), *, shown: str = "") -> int:
        """Runs a statement; returns the number of rows it touched, -1 where the server does not say.

        Args:
            shown: what to name in logs and errors instead of ``sql``, when that holds a secret.
        """
        with self._translated(shown or sql), self._connection.cursor() as cursor:
            cursor.execute(sql, tuple(arguments))
            return int(cursor.rowcount)

    def query(self, sql: str, arguments: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """All rows of a query."""
        with self._translated(sql), self._connection.cursor() as cursor:
            cursor.execute(sql, tuple(arguments))
            return [tuple(row) for row in cursor.fetchall()]

    def number(self, sql: str, arguments: Sequence[object] = ()) -> int:
        """The whole number a query returns."""
        return int(str(self.query(sql, arguments)[0][0]))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """BEGIN … COMMIT; ROLLBACK on any error inside.

        Raises:
            CommitUnknown: the connection was lost while COMMIT was under way.
        """
        self.execute("BEGIN")
        try:
            yield
        except BaseException:
            with suppress(WarehouseError):  # the connection may be what failed; the first error is the one to tell
                self.execute("ROLLBACK")
            raise
        try:
            self.execute("COMMIT")
        except WarehouseUnavailable as exc:
            raise CommitUnknown(
                "the connection to Redshift was lost at COMMIT", hint="the load id is looked up before anything else"
            ) from exc
        except WarehouseError:
            with suppress(WarehouseError):  # a refused COMMIT may leave the transaction open and aborted
                self.execute("ROLLBACK")
            raise

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """BEGIN … ROLLBACK: what is done inside is tried and taken back."""
        self.execute("BEGIN")
        try:
            yield
        finally:
            with suppress(WarehouseError):  # the connection may be what failed
                self.execute("ROLLBACK")

    @contextmanager
    def _translated(self, shown: str) -> Iterator[None]:
        try:
            yield
        except driver_errors.Error as exc:
            fields = _fields(exc)
            if not fields and isinstance(exc, driver_errors.InterfaceError):
                raise WarehouseUnavailable(f"the connection to Redshift was lost: {exc}") from exc
            raise _server_error(fields or {"M": str(exc)}, shown) from None
        except LOST as exc:
            raise WarehouseUnavailable(f"the connection to Redshift was lost: {exc!r}") from exc


def _server_error(fields: dict[str, str], shown: str) -> WarehouseError:
    code, text = fields.get("C", ""), fields.get("M", "")
    detail = fields.get("D", "").strip()
    message = f"Redshift refused the statement: {text}" + (f" ({' '.join(detail.split())})" if detail else "")
    context = {"code": code, "statement": shown[:2000]}
    if code in CONFLICT_CODES or text.strip() in CONFLICT_NUMBERS or any(t in message for t in CONFLICT_TEXTS):
        return LoadConflict(message, hint="the transaction is tried again", context=context)
    if code == NO_PRIVILEGE:
        return WarehouseError(message, hint="`s3rs-ray status` names the rights that are missing", context=context)
    return WarehouseError(message, hint="look at the statement with --debug", context=context)
