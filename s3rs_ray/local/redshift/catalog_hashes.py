"""SQL of the hash functions, of LISTAGG, and of FIRST_VALUE and LAST_VALUE with IGNORE NULLS.

Source: AWS documentation, "CRC32", "FNV_HASH", "SHA1", "LISTAGG", "FIRST_VALUE", "CONVERT_TIMEZONE"; RFC 3174 (SHA-1),
RFC 3720 (CRC-32C). They are written in PL/pgSQL and slow: right for tests, not for many rows. The text goes through
``str.format``: ``{s}`` is the internal schema.
"""

from __future__ import annotations

__all__ = ["HASHES"]

_CRC32 = """
CREATE FUNCTION {s}.crc32({s}.varchar) RETURNS {s}.varchar LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE data bytea := convert_to($1::text, 'UTF8'); crc bigint := 4294967295;
BEGIN
    FOR at IN 0 .. octet_length(data) - 1 LOOP
        crc := crc # get_byte(data, at);
        FOR bit IN 1 .. 8 LOOP
            crc := CASE WHEN crc & 1 = 1 THEN (crc >> 1) # 2197175160 ELSE crc >> 1 END;
        END LOOP;
    END LOOP;
    RETURN lpad(to_hex(crc # 4294967295), 8, '0');
END $$;
"""

_FNV_HASH = """
CREATE FUNCTION {s}.fnv(data bytea, seed bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE hash bigint := seed; product numeric;
BEGIN
    FOR at IN 0 .. octet_length(data) - 1 LOOP
        product := mod((hash # get_byte(data, at))::numeric * 1099511628211, 18446744073709551616);
        product := product + CASE WHEN product < 0 THEN 18446744073709551616 ELSE 0 END;
        hash := product - CASE WHEN product >= 9223372036854775808 THEN 18446744073709551616 ELSE 0 END;
    END LOOP;
    RETURN hash;
END $$;
CREATE FUNCTION {s}.backwards(bytea) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT string_agg(substring($1 FROM n FOR 1), '' ORDER BY n DESC) FROM generate_series(1, octet_length($1)) n $$;
"""


def _fnv(kind: str, data: str) -> str:
    how = "LANGUAGE sql IMMUTABLE PARALLEL SAFE"
    return (
        f"CREATE FUNCTION {{s}}.fnv_hash({kind}, bigint) RETURNS bigint {how} AS $$ SELECT {{s}}.fnv({data}, $2) $$;"
        f"CREATE FUNCTION {{s}}.fnv_hash({kind}) RETURNS bigint {how} AS "
        "$$ SELECT {s}.fnv_hash($1, -3750763034362895579) $$;"
    )


# The bytes of the value as an x86 processor keeps them; blanks at the end of a CHAR count.
_FNV_HASHES = [
    *(_fnv(f"int{n}", f"{{s}}.backwards(int{n}send($1))") for n in (2, 4, 8)),
    _fnv("text", "convert_to($1, 'UTF8')"),
    _fnv("bpchar", "bpcharsend($1)"),
]

_SHA1 = """
CREATE FUNCTION {s}.sha1({s}.varchar) RETURNS {s}.varchar LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    data bytea := convert_to($1::text, 'UTF8');
    h bigint[] := ARRAY[1732584193, 4023233417, 2562383102, 271733878, 3285377520];
    w bigint[]; a bigint; b bigint; c bigint; d bigint; e bigint; f bigint; k bigint; x bigint;
    most constant bigint := 4294967295;
BEGIN
    data := data || '\\x80'::bytea || decode(repeat('00', (119 - octet_length(data) % 64) % 64), 'hex')
        || int8send(octet_length(data)::bigint * 8);
    FOR block IN 0 .. octet_length(data) / 64 - 1 LOOP
        w := '{{}}';
        FOR t IN 0 .. 79 LOOP
            IF t < 16 THEN
                x := ('x' || encode(substring(data FROM block * 64 + t * 4 + 1 FOR 4), 'hex'))::bit(32)::bigint;
            ELSE
                x := w[t - 2] # w[t - 7] # w[t - 13] # w[t - 15];
                x := ((x << 1) | (x >> 31)) & most;
            END IF;
            w := w || x;
        END LOOP;
        a := h[1]; b := h[2]; c := h[3]; d := h[4]; e := h[5];
        FOR t IN 0 .. 79 LOOP
            IF t < 20 THEN f := (b & c) | ((most - b) & d); k := 1518500249;
            ELSIF t < 40 THEN f := b # c # d; k := 1859775393;
            ELSIF t < 60 THEN f := (b & c) | (b & d) | (c & d); k := 2400959708;
            ELSE f := b # c # d; k := 3395469782;
            END IF;
            x := ((((a << 5) | (a >> 27)) & most) + f + e + k + w[t + 1]) & most;
            e := d; d := c; c := ((b << 30) | (b >> 2)) & most; b := a; a := x;
        END LOOP;
        h := ARRAY[(h[1] + a) & most, (h[2] + b) & most, (h[3] + c) & most, (h[4] + d) & most, (h[5] + e) & most];
    END LOOP;
    RETURN (SELECT string_agg(lpad(to_hex(part), 8, '0'), '' ORDER BY n) FROM unnest(h) WITH ORDINALITY u(part, n));
END $$;
CREATE FUNCTION {s}.sha({s}.varchar) RETURNS {s}.varchar LANGUAGE sql IMMUTABLE AS $$ SELECT {s}.sha1($1) $$;
CREATE FUNCTION {s}.func_sha1({s}.varchar) RETURNS {s}.varchar LANGUAGE sql IMMUTABLE AS $$ SELECT {s}.sha1($1) $$;
"""

_AGGREGATES = """
CREATE FUNCTION {s}.listed({s}.varchar) RETURNS {s}.varchar LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    $$ SELECT nullif($1::text, '')::{s}.varchar $$;
CREATE AGGREGATE {s}.listagg({s}.varchar, text) (SFUNC = string_agg_transfn, STYPE = internal,
    FINALFUNC = string_agg_finalfn);
CREATE FUNCTION {s}.fits_listagg(text) RETURNS {s}.varchar LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF octet_length($1) > 65535 THEN
        RAISE EXCEPTION 'Result size exceeds LISTAGG limit' USING ERRCODE = 'XX000';
    END IF;
    RETURN $1;
END $$;
CREATE FUNCTION {s}.keep(anyelement, anyelement) RETURNS anyelement LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
    $$ SELECT $1 $$;
CREATE FUNCTION {s}.renew(anyelement, anyelement) RETURNS anyelement LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
    $$ SELECT $2 $$;
CREATE AGGREGATE {s}.first_value_known(anyelement) (SFUNC = {s}.keep, STYPE = anyelement);
CREATE AGGREGATE {s}.last_value_known(anyelement) (SFUNC = {s}.renew, STYPE = anyelement);
"""

# POSIX descriptions of a zone ('NEWZONE +2') are left out.
_TIME_ZONES = """
CREATE FUNCTION {s}.convert_timezone(source text, target text, moment timestamp) RETURNS timestamp
    LANGUAGE plpgsql STABLE STRICT AS $$
BEGIN
    IF concat(source, target) ~ '[0-9+<>]' THEN
        RAISE EXCEPTION 'time zones are modelled by name or abbreviation only, not %, %', source, target
            USING ERRCODE = '0A000';
    END IF;
    RETURN (moment AT TIME ZONE source) AT TIME ZONE target;
END $$;
CREATE FUNCTION {s}.convert_timezone(target text, moment timestamp) RETURNS timestamp LANGUAGE sql STABLE AS
    $$ SELECT {s}.convert_timezone('UTC', $1, $2) $$;
"""

HASHES = "\n".join([_CRC32, _FNV_HASH, *_FNV_HASHES, _SHA1, _AGGREGATES, _TIME_ZONES])
