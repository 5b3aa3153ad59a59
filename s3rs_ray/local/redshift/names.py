"""Words and names with a meaning of their own: reserved words, system columns, system relations.

Sources: AWS documentation, "Reserved words", "System column names", "System tables and views reference".
"""

from __future__ import annotations

__all__ = ["INTERNAL_SCHEMA", "LEADER_RELATIONS", "RESERVED", "SYSTEM_COLUMNS", "SYSTEM_RELATIONS", "SYSTEM_SCHEMAS"]

# Where the stand-in keeps its own objects in PostgreSQL; no statement of a client may name it.
INTERNAL_SCHEMA = "redshift_standin"

_RESERVED_WORDS = """
    aes128 aes256 all allowoverwrite analyse analyze and any array as asc authorization az64 backup between binary
    blanksasnull both bytedict bzip2 case cast check collate column constraint create credentials cross current_date
    current_time current_timestamp current_user current_user_id default deferrable deflate defrag delta delta32k desc
    disable distinct do else emptyasnull enable encode encrypt encryption end except explicit false for foreign freeze
    from full globaldict256 globaldict64k grant group gzip having identity ignore ilike in initially inner intersect
    interval into is isnull join language leading left like limit localtime localtimestamp lun luns lzo lzop minus
    mostly16 mostly32 mostly8 natural new not notnull null nulls off offline offset oid old on only open or order outer
    overlaps parallel partition percent permissions pivot placing primary raw readratio recover references rejectlog
    resort respect restore right select session_user similar snapshot some sysdate system table tag tdes text255
    text32k then timestamp to top trailing true truncatecolumns union unique unnest unpivot user using verbose wallet
    when where with without
"""
RESERVED = frozenset(_RESERVED_WORDS.split())

SYSTEM_COLUMNS = frozenset({"oid", "tableoid", "xmin", "xmax", "cmin", "cmax", "ctid"})

SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema"})

# Relation as a client names it -> the view of the internal schema that answers for it.
SYSTEM_RELATIONS: dict[str, str] = {
    "svv_columns": "svv_columns",
    "svv_tables": "svv_tables",
    "svv_table_info": "svv_table_info",
    "sys_load_history": "sys_load_history",
    "sys_load_error_detail": "sys_load_error_detail",
    "stv_sessions": "stv_sessions",
    "sys_query_history": "sys_query_history",
    "pg_table_def": "pg_table_def",
    "pg_catalog.pg_table_def": "pg_table_def",
    "pg_user": "pg_user",
    "pg_catalog.pg_user": "pg_user",
    "pg_group": "pg_group",
    "pg_catalog.pg_group": "pg_group",
    "pg_namespace": "pg_namespace",
    "pg_catalog.pg_namespace": "pg_namespace",
    "pg_tables": "pg_tables",
    "pg_catalog.pg_tables": "pg_tables",
    "pg_views": "pg_views",
    "pg_catalog.pg_views": "pg_views",
    "information_schema.columns": "information_schema_columns",
    "information_schema.tables": "information_schema_tables",
    "information_schema.schemata": "information_schema_schemata",
    "information_schema.table_constraints": "information_schema_table_constraints",
    "information_schema.views": "information_schema_views",
}

# Which of them cannot be joined with user tables. The documentation says it of PG_* and information_schema
# ("leader-node only"); nobody confirmed the opposite for the others, so all are held to it.
LEADER_RELATIONS = frozenset(SYSTEM_RELATIONS)
