"""The figures of `partway-server top` as lines for a terminal. No I/O."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_MOST_ERRORS = 8
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def table(found: Mapping[str, Any], source: str) -> list[str]:
    """Return the lines of one screen."""
    return [
        *_head(found, source),
        "",
        *_aligned(("UPLOADS", "/s", "BYTES/s", "TOTAL"), map(_upload, found["uploads"])),
        "",
        *_aligned(("RPC", "/s", "ERR/s", "P50 ms", "P99 ms"), map(_timed("rpc"), found["rpcs"])),
        "",
        *_stores(found),
        *_errors(found["errors"]),
        *_refused(found["refused"]),
        _cleanup(found["cleanup"]),
    ]


def _head(found: Mapping[str, Any], source: str) -> Iterator[str]:
    yield (
        f"Partway {found['version']} at {source}: {found['workers']} workers,"
        f" {_number(found['cpu_cores'])} cores, {_bytes(found['memory_bytes'])},"
        f" loop p99 {_number(found['loop_lag_p99_ms'])} ms"
    )
    yield (
        f"calls {found['calls_in_progress']}, watches {found['watches']},"
        f" parts through the service {found['parts_via_service']};"
        f" rates over {_number(found['seconds'])} s"
    )


def _upload(row: Mapping[str, Any]) -> Sequence[str]:
    return (
        row["event"],
        _number(row["per_second"]),
        _bytes(row["bytes_per_second"]),
        str(row["total"]),
    )


def _timed(name: str) -> Any:
    def cells(row: Mapping[str, Any]) -> Sequence[str]:
        figures = ("per_second", "errors_per_second", "p50_ms", "p99_ms")
        return (row[name], *(_number(row[figure]) for figure in figures))

    return cells


def _stores(found: Mapping[str, Any]) -> Iterator[str]:
    stores = [(f"STORAGE {each['backend']}", each) for each in found["storage"]]
    for title, store in (*stores, ("REDIS", found["redis"])):
        head = (title, "/s", "ERR/s", "P50 ms", "P99 ms")
        yield from _aligned(head, map(_timed("operation"), store["operations"]))
        oldest = _number(store["oldest_seconds"])
        yield (
            f"  in flight {store['in_flight']}, the oldest for {oldest} s,"
            f" retries {_number(store['retries_per_second'])}/s"
        )
        yield ""


def _errors(errors: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not errors:
        return
    rows = ((f"{e['rpc']} {e['reason'] or e['code']}", _number(e["per_second"])) for e in errors)
    yield from _aligned(("ERRORS", "/s"), [*rows][:_MOST_ERRORS])
    yield ""


def _refused(refused: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    counted = [each for each in refused if each["total"]]
    if not counted:
        return
    rows = ((r["limit"], _number(r["per_second"]), str(r["total"])) for r in counted)
    yield from _aligned(("REFUSED BY", "/s", "TOTAL"), rows)
    yield ""


def _cleanup(found: Mapping[str, Any]) -> str:
    ago = (
        f"{job} "
        + (
            "not yet"
            if found[f"{job}_seconds_ago"] is None
            else f"{_number(found[f'{job}_seconds_ago'])} s ago"
        )
        for job in ("janitor", "sweep")
    )
    return f"oldest due upload {_number(found['oldest_due_seconds'])} s; {', '.join(ago)}"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _bytes(value: float) -> str:
    for unit in _UNITS:
        if value < 1024 or unit == _UNITS[-1]:
            return f"{_number(round(value, 1))} {unit}"
        value /= 1024
    raise AssertionError("unreachable: the last unit takes all")


def _aligned(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield rows under their head: the first column to the left, the others to the right."""
    cells = [head, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    widths[0] = max(widths[0], 26)
    for row in cells:
        first, *others = (
            text.ljust(width) if column == 0 else text.rjust(max(width, 9))
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        yield " ".join((first, *others)).rstrip()
