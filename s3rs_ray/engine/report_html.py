"""A report as one HTML page: no scripts, nothing from elsewhere, light and dark; pure."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, TypeAlias

from ..wording import Size, counted

Document: TypeAlias = Mapping[str, Any]
Moment: TypeAlias = Mapping[str, Any]

WIDTH, LANE, PAD = 1000, 14, 4
"""Of a drawing, in its own units: its width, the height of a lane, the room between two."""
BINS = 120
"""Points of the curves of rows a second."""

SHORT = 30
"""Characters of a cell that is never broken."""
STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --dim: #5b6675; --paper: #fff; --card: #f5f7fa; --rule: #d8dee6;
  --read: #2f6fde; --load: #d9822b; --check: #2f9e62; --bad: #c7362f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9f0; --dim: #98a4b3; --paper: #14181e; --card: #1d232b;
  --rule: #323b46; --read: #6ea0ff; --load: #f0a95c; --check: #5fcf93; --bad: #ff7d75; } }
body { margin: 0 auto; max-width: 1200px; padding: 24px; background: var(--paper); color: var(--ink);
  font: 14px/1.5 system-ui, sans-serif; }
h1 { font-size: 22px; margin: 0 0 4px; } h2 { font-size: 17px; margin: 32px 0 8px; overflow-wrap: anywhere; }
h3 { font-size: 13px; margin: 16px 0 4px; color: var(--dim); font-weight: 600; }
p { margin: 4px 0; } .dim { color: var(--dim); } .bad { color: var(--bad); } .good { color: var(--check); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 4px 10px 4px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
th { color: var(--dim); font-weight: 600; white-space: nowrap; }
.n { text-align: right; } .n, .short { white-space: nowrap; } a { color: inherit; text-decoration: none; }
td.name { overflow-wrap: break-word; } td.name:first-child { overflow-wrap: anywhere; min-width: 14em; }
svg { display: block; width: 100%; min-width: 640px; height: auto; background: var(--card); border-radius: 6px; }
svg text { fill: var(--dim); font: 11px system-ui, sans-serif; }
.read { fill: var(--read); } .load { fill: var(--load); } .check { fill: var(--check); } .retry { fill: var(--bad); }
.curve { fill: none; stroke-width: 2; } .curve.read { stroke: var(--read); } .curve.load { stroke: var(--load); }
.tick { stroke: var(--rule); } .key::before { content: "■ "; }
.key.read::before { color: var(--read); } .key.load::before { color: var(--load); }
.key.check::before { color: var(--check); } .key.retry::before { color: var(--bad); } .key { margin-right: 16px; }
"""


def format_report(document: Document) -> str:
    """The page of a report."""
    run, status = document["execution_id"], document["status"]
    results: Mapping[str, Document] = document["table_results"]
    anchors = {name: f"t{place}" for place, name in enumerate(results) if _worked(document, name)}
    began = dt.datetime.fromisoformat(document["start_time"])
    body = [
        f"<h1>Run {escape(run)}: <span class={_tone(status)}>{escape(status)}</span></h1>",
        f"<p class=dim>{began:%Y-%m-%d %H:%M:%S} UTC, {_seconds(document['duration_seconds'])}; exit code"
        f" {document['exit_code']}; {escape(_asked(document['request']))}; s3rs-ray {escape(document['version'])}</p>",
        f"<p class=bad>{escape(document['error']['message'])}</p>" if document["error"] else "",
        _summary(results, anchors) if results else "",
        *(_table(name, document, results[name], anchor) for name, anchor in anchors.items()),
        "<h2>Settings</h2>",
        "<p class=dim>Secrets are masked. Settings without a value are left out.</p>",
        _rows(
            ("setting", "value"),
            [(k, _setting(v)) for k, v in document["settings"].items() if v not in ("", None, {}, [])],
        ),
    ]
    return (
        "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>s3rs-ray run {escape(run)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(filter(None, body))
        + "\n</body></html>\n"
    )


def stage_seconds(result: Document, timeline: Document) -> dict[str, float]:
    """What each stage of a table took, in seconds; ``read`` is wall time, ``readers`` that of all readers together."""
    check = timeline["verification"]
    return {
        "total": result["duration_seconds"],
        "read": result["extract_seconds"],
        "readers": round(sum(c["end"] - c["start"] for c in timeline["chunks"]), 3),
        "load": result["load_seconds"],
        **result["load_phases"],
        **({"verify": round(check["end"] - check["start"], 3)} if check else {}),
    }


def _asked(request: Document) -> str:
    words = ["tables " + " ".join(request["tables"])]
    if not request["load"]:
        words.append("MySQL to S3 alone")
    if not request["extract"]:
        words.append("S3 to Redshift alone")
    words += [name.replace("_", " ") for name in ("full_refresh", "verify", "inline") if request[name]]
    if request["limit"]:
        words.append(f"limit {request['limit']:,}")
    return ", ".join([*words, request["strategy"]])


def _setting(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _tone(status: str) -> str:
    return "good" if status in ("success", "nothing_to_do") else "bad"


def _worked(document: Document, name: str) -> bool:
    timeline = document["timeline"].get(name)
    result = document["table_results"][name]
    moved = timeline and (timeline["chunks"] or timeline["loads"] or timeline["retries"])
    return bool(moved or result["error"] or result["warnings"])


def _summary(results: Mapping[str, Document], anchors: Mapping[str, str]) -> str:
    heads = ("table", "status", "rows read", "rows loaded", "files", "size", "seconds", "rows/s", "up to")
    return _rows(
        heads,
        [
            (
                name,
                r["status"],
                r["rows_extracted"],
                r["rows_loaded"],
                r["files_created"],
                Size(r["bytes"]),
                r["duration_seconds"],
                round((r["rows_extracted"] or r["rows_loaded"]) / max(r["duration_seconds"], 0.001)),
                r["watermark"] or "",
            )
            for name, r in results.items()
        ],
        anchors,
    )


def _table(name: str, document: Document, result: Document, anchor: str) -> str:
    empty: Document = {"chunks": [], "loads": [], "retries": [], "verification": None}
    timeline = document["timeline"].get(name) or empty
    seconds = max(document["duration_seconds"], 0.001)
    parts = [f"<h2 id={anchor}>{escape(name)}</h2>"]
    if result["error"]:
        parts.append(f"<p class=bad>{escape(result['error'])}</p>")
        parts.append(f"<p class=dim>{escape(result['hint'])}</p>" if result["hint"] else "")
    parts += [f"<p>Warning: {escape(w)}</p>" for w in result["warnings"]]
    if timeline["chunks"] or timeline["loads"]:
        parts += ["<h3>Timeline</h3>", _timeline(timeline, seconds), _legend(timeline)]
        parts += ["<h3>Rows a second</h3>", _curves(timeline, seconds)]
    stages = stage_seconds(result, timeline)
    parts += ["<h3>Seconds of each stage</h3>", _rows(tuple(stages), [tuple(float(v) for v in stages.values())])]
    if timeline["chunks"]:
        parts += ["<h3>Files</h3>", _sizes(timeline["chunks"])]
    if timeline["retries"]:
        rows = [(r["at"], r["chunk"], r["attempt"], str(r["reason"])) for r in timeline["retries"]]
        parts += ["<h3>Retries</h3>", _rows(("second", "chunk", "attempt", "reason"), rows)]
    parts.append(f"<p>Verification: {_verification(document, result)}.</p>")
    return "\n".join(filter(None, parts))


def _verification(document: Document, result: Document) -> str:
    if not document["request"]["verify"]:
        return "not asked for (--verify-data)"
    verified = result["verified_rows"]
    return (
        "did not end well"
        if verified is None
        else f"{counted(verified, 'row')} compared, no difference left unexplained"
    )


def _sizes(chunks: Sequence[Moment]) -> str:
    sizes = sorted(c["bytes"] for c in chunks)
    rows = sum(c["rows"] for c in chunks)
    heads = ("files", "size in all", "smallest", "median", "largest", "bytes a row", "rows a file")
    return _rows(
        heads,
        [
            (
                len(sizes),
                Size(sum(sizes)),
                Size(sizes[0]),
                Size(sizes[len(sizes) // 2]),
                Size(sizes[-1]),
                sum(sizes) / max(rows, 1),
                rows // len(sizes),
            )
        ],
    )


def _rows(heads: Sequence[str], rows: Iterable[Sequence[object]], anchors: Mapping[str, str] | None = None) -> str:
    """A table; ``anchors`` are where the names in its first column lead."""
    rows = list(rows)
    numeric = [all(isinstance(row[i], (int, float)) for row in rows) for i in range(len(heads))]
    head = "".join(f"<th{' class=n' if n else ''}>{escape(h)}</th>" for h, n in zip(heads, numeric, strict=True))
    lines = []
    for row in rows:
        cells = []
        for place, (value, n) in enumerate(zip(row, numeric, strict=True)):
            text = escape(_cell(value))
            anchor = (anchors or {}).get(str(value)) if not place else None
            shape = "n" if n else "short" if place and len(text) <= SHORT else "name"
            tone = " bad" if value in ("failed", "interrupted") else ""
            linked = f"<a href=#{anchor}>{text}</a>" if anchor else text
            cells.append(f'<td class="{shape}{tone}">{linked}</td>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<div class=scroll><table><tr>{head}</tr>{''.join(lines)}</table></div>"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, Size) else str(value)


def _seconds(value: float) -> str:
    return f"{value:,.1f} s" if value < 120 else str(dt.timedelta(seconds=round(value)))


def lanes(moments: Sequence[Moment]) -> list[list[Moment]]:
    """Moments in as few lanes as hold them without overlap, in the order of their starts."""
    result: list[list[Moment]] = []
    for moment in sorted(moments, key=lambda m: m["start"]):
        lane = next((lane for lane in result if lane[-1]["end"] <= moment["start"]), None)
        if lane is None:
            result.append(lane := [])
        lane.append(moment)
    return result


def _timeline(timeline: Document, seconds: float) -> str:
    scale = WIDTH / seconds
    bars: list[str] = []
    y = PAD
    check = [timeline["verification"]] if timeline["verification"] else []
    for kind, moments in (("read", timeline["chunks"]), ("load", timeline["loads"]), ("check", check)):
        for lane in lanes(moments):
            bars += _lane(kind, lane, scale, y)
            y += LANE + PAD
    for retry in timeline["retries"]:
        title = f"<title>chunk {retry['chunk']} failed: {escape(str(retry['reason']))}</title>"
        bars.append(f"<circle class=retry cx={retry['at'] * scale:.1f} cy={PAD + LANE / 2} r=4>{title}</circle>")
    return _drawing("".join(bars), y, seconds, "what was read, loaded and verified when")


def _lane(kind: str, lane: Sequence[Moment], scale: float, y: float) -> Iterable[str]:
    """The bars of a lane; neighbours too narrow to be told apart become one."""
    group: list[Moment] = []
    for moment in [*lane, None]:
        if group and (moment is None or (moment["end"] - group[0]["start"]) * scale > 2):
            yield _bar(kind, group, scale, y)
            group = []
        if moment is not None:
            group.append(moment)


def _bar(kind: str, group: Sequence[Moment], scale: float, y: float) -> str:
    start, end = group[0]["start"], group[-1]["end"]
    rows = sum(m.get("rows", 0) for m in group)
    what = {"read": "chunk", "load": "load", "check": "verification"}[kind]
    name = f"{what} {group[0]['chunk']}" if kind == "read" and len(group) == 1 else what
    many = f"{len(group)} {what}s" if len(group) > 1 else name
    title = f"<title>{many}: {counted(rows, 'row')}, {start:.1f} to {end:.1f} s</title>"
    width = max((end - start) * scale - 0.6, 0.6)
    return f"<rect class={kind} x={start * scale:.1f} y={y} width={width:.1f} height={LANE} rx=2>{title}</rect>"


def _drawing(content: str, height: float, seconds: float, label: str) -> str:
    ticks = []
    step = _tick(seconds)
    for i in range(int(seconds / step) + 1):
        x = i * step * WIDTH / seconds
        anchor = "end" if x > WIDTH - 40 else "start"
        ticks.append(
            f"<line class=tick x1={x:.1f} x2={x:.1f} y1=0 y2={height + 4} /><text x={x + 3:.1f} y={height + 14}"
        )
        ticks[-1] += f" text-anchor={anchor}>{_clock(i * step)}</text>"
    box = f"0 0 {WIDTH} {height + 20:.0f}"
    drawn = f'<svg viewBox="{box}" role=img aria-label="{escape(label)}">{"".join(ticks)}{content}</svg>'
    return f"<div class=scroll>{drawn}</div>"


def _tick(seconds: float) -> float:
    for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400):
        if seconds / step <= 12:
            return step
    return 86400 * math.ceil(seconds / 86400 / 12)


def _clock(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 120 else str(dt.timedelta(seconds=round(seconds)))


def speed(moments: Sequence[Moment], seconds: float, bins: int = BINS) -> list[float]:
    """Rows a second in each of ``bins`` equal parts of the run; a moment's rows are spread evenly over its time."""
    size = seconds / bins
    rows = [0.0] * bins
    for m in moments:
        start, end = m["start"], max(m["end"], m["start"] + 1e-3)
        first, last = min(int(start / size), bins - 1), min(int(end / size), bins - 1)
        for i in range(first, last + 1):
            low, high = max(start, i * size), end if i == last else (i + 1) * size
            rows[i] += m["rows"] * max(high - low, 0.0) / (end - start)
    return [r / size for r in rows]


def _curves(timeline: Document, seconds: float) -> str:
    height = 130
    curves = {kind: speed(timeline[f"{what}s"], seconds) for kind, what in (("read", "chunk"), ("load", "load"))}
    most = max(max(values) for values in curves.values()) or 1.0
    content = []
    for kind, values in curves.items():
        if any(values):
            points = " ".join(
                f"{(i + 0.5) * WIDTH / BINS:.1f},{height - v / most * (height - 20):.1f}" for i, v in enumerate(values)
            )
            content.append(f'<polyline class="curve {kind}" points="{points}" />')
    content.append(f"<text x={WIDTH - 4} y=13 text-anchor=end>top: {most:,.0f} rows/s</text>")
    return _drawing("".join(content), height, seconds, "rows a second over time")


def _legend(timeline: Document) -> str:
    said = [("read", "read from MySQL and written to S3")] if timeline["chunks"] else []
    said += [("load", "loaded into Redshift")] if timeline["loads"] else []
    said += [("check", "verified")] if timeline["verification"] else []
    said += [("retry", "a chunk failed and was tried again")] if timeline["retries"] else []
    return "<p class=dim>" + "".join(f'<span class="key {kind}">{text}</span>' for kind, text in said) + "</p>"
