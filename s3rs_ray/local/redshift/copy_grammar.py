"""The grammar of COPY ... FORMAT AS PARQUET.

Source: AWS documentation, "COPY from columnar data formats"; redshift.md, "COPY ... FORMAT AS PARQUET". The texts of
refused options were measured on a live warehouse (REGION, TRUNCATECOLUMNS).
"""

from __future__ import annotations

from s3rs_ray.local.redshift.actions import Credentials, Load
from s3rs_ray.local.redshift.parser import Parser
from s3rs_ray.local.redshift.sqlerror import SqlError, not_supported
from s3rs_ray.local.redshift.tokens import Kind

__all__ = ["CopyGrammar"]

_FLAGS = ("manifest", "fillrecord", "serializetojson", "acceptinvchars", "explicit_ids")
_REFUSED_WORDS = """
    region truncatecolumns maxerror acceptanydate compupdate comprows noload delimiter fixedwidth gzip bzip2 lzop zstd
    quote escape ignoreheader ignoreblanklines blanksasnull emptyasnull null dateformat timeformat removequotes
    trimblanks roundec encoding encrypted master_symmetric_key readratio ssh json csv avro orc shapefile parquet
"""
_REFUSED = frozenset(_REFUSED_WORDS.split())


class CopyGrammar(Parser):
    """COPY statements."""

    def copy(self) -> Load:
        """Consumes a whole COPY statement.

        Raises:
            SqlError: 0A000 for an option that is not supported for Parquet, 42601 outside the grammar.
        """
        self.expect("copy")
        table = self.table_name()
        columns = tuple(self.names()) if self.peek_operator("(") else ()
        self.expect("from")
        bucket, key = _split_url(self._literal())
        credentials, flags = self._options()
        return Load(
            table=table,
            columns=columns,
            bucket=bucket,
            key=key,
            credentials=credentials,
            manifest="manifest" in flags,
            fill_record="fillrecord" in flags,
            serialize_to_json="serializetojson" in flags,
            explicit_ids="explicit_ids" in flags,
        )

    def _options(self) -> tuple[Credentials, set[str]]:
        authorisation = Authorisation()
        flags: set[str] = set()
        format_given = False
        while self.token.kind is not Kind.END:
            if self._authorise(authorisation):
                continue
            if self.accept("format"):
                self.accept("as")
                if not self.accept("parquet"):
                    raise not_supported(f"COPY format {self.token.value.upper()} is not supported by the stand-in")
                format_given = True
            elif self.accept("statupdate"):
                if not self.accept("on"):
                    self.accept("off")
            elif self.peek_word(*_FLAGS):
                flags.add(self.take().value)
            else:
                raise self._refusal()
        if not format_given:
            raise not_supported("COPY without FORMAT AS PARQUET is not supported by the stand-in")
        return authorisation.credentials(), flags

    def _literal(self) -> str:
        if self.token.kind is Kind.PARAMETER:
            # COPY takes no bind parameters: its values are read before any is bound.
            raise SqlError("42601", f'syntax error at or near "{self.token.value}"')
        return self.string()

    def _authorise(self, authorisation: Authorisation) -> bool:
        if self.accept("iam_role"):
            authorisation.add("role", "default" if self.accept("default") else self._literal())
        elif self.accept("access_key_id"):
            authorisation.add("access_key", self._literal())
        elif self.accept("secret_access_key"):
            authorisation.add("secret_key", self._literal())
        elif self.accept("session_token"):
            authorisation.add("session_token", self._literal())
        elif self.accept("with", "credentials") or self.accept("credentials"):
            self.accept("as")
            authorisation.add_string(self._literal())
        else:
            return False
        return True

    def _refusal(self) -> SqlError:
        token = self.token
        if token.kind is Kind.WORD and token.value in _REFUSED:
            return not_supported(f"{token.value.upper()} argument is not supported for PARQUET based COPY")
        return self.unexpected()


class Authorisation:
    """Collects the authorisation clauses and checks that they form exactly one."""

    def __init__(self) -> None:
        self._found: dict[str, str] = {}
        self._styles: set[str] = set()

    def add(self, field: str, value: str, style: str = "") -> None:
        """Notes one clause; a second one of the same name is a conflict."""
        if field in self._found:
            raise SqlError("42601", "conflicting or redundant options")
        self._found[field] = value
        self._styles.add(style or ("role" if field == "role" else "keys"))

    def add_string(self, text: str) -> None:
        """Notes the ``name=value;name=value`` of CREDENTIALS."""
        names = {
            "aws_iam_role": "role",
            "aws_access_key_id": "access_key",
            "aws_secret_access_key": "secret_key",
            "token": "session_token",
            "aws_session_token": "session_token",
        }
        for part in text.split(";"):
            name, _, value = part.partition("=")
            if name.strip() not in names:
                raise SqlError("XX000", "Invalid credentials. Must be of the format: credentials '...'")
            self.add(names[name.strip()], value.strip(), "credentials")

    def credentials(self) -> Credentials:
        """The one authorisation given.

        Raises:
            SqlError: none was given, or more than one, or half of one.
        """
        found = self._found
        if not found:
            raise SqlError("42601", "COPY requires credentials: IAM_ROLE, ACCESS_KEY_ID or CREDENTIALS")
        if len(self._styles) > 1 or ("role" in found and len(found) > 1):
            raise SqlError("42601", "conflicting or redundant options", detail="Give exactly one authorisation.")
        if "role" not in found and not {"access_key", "secret_key"} <= found.keys():
            raise SqlError("42601", "ACCESS_KEY_ID and SECRET_ACCESS_KEY must be given together")
        return Credentials(
            role=found.get("role", ""),
            access_key=found.get("access_key", ""),
            secret_key=found.get("secret_key", ""),
            session_token=found.get("session_token", ""),
        )


def _split_url(url: str) -> tuple[str, str]:
    """Bucket and key of ``s3://bucket/key``; everything after the first single slash is the key, ``//`` included."""
    if not url.startswith("s3://"):
        raise not_supported("COPY from anything but s3:// is not supported by the stand-in")
    bucket, slash, key = url.removeprefix("s3://").partition("/")
    if not bucket or not slash or not key:
        raise SqlError("XX000", f"The specified S3 URL '{url}' is not valid")
    return bucket, key
