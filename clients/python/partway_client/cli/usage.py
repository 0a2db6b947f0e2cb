"""The table of the `partway usage` command."""

from collections.abc import Iterator, Sequence

from rich.filesize import decimal

from partway_client.models import LimitUsage, Usage

_BYTES = "bytes"


def table(usage: Usage) -> Iterator[str]:
    """Yield the lines: each limit, with what the tenant and the caller use of it."""
    rows = [("limit", "tenant", "of at most", "you", "of at most")]
    for tenant, subject in zip(usage.tenant, usage.subject, strict=True):
        rows.append((tenant.limit, *_cells(tenant), *_cells(subject)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *numbers in rows:
        yield "  ".join([name.ljust(widths[0]), *_right(numbers, widths[1:])])


def _right(texts: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    return (text.rjust(width) for text, width in zip(texts, widths, strict=True))


def _cells(entry: LimitUsage) -> tuple[str, str]:
    amount = decimal if _BYTES in entry.limit else str
    return amount(entry.used), "-" if entry.maximum is None else amount(entry.maximum)
