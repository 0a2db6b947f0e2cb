"""Makes the table of docs/stores.md: what each store that the suites run over does.

`make stores-table` writes it, from the records that `make measure-stores` keeps and from the limits
that tests/support/store_catalogue.py names.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from partway_server.config.capability_file import read_record
from partway_server.domain.checksum import Checksum
from partway_server.storage.capabilities import KNOWN, Capabilities

from tests.support.store_catalogue import MEASURED, RECORDS, STORES, KnownStore
from tests.support.stores import COPIES, ENDED, SIGNATURES

DOCUMENT = Path(__file__).parents[2] / "docs/stores.md"
BEGIN, END = "<!-- table: make stores-table -->\n", "<!-- end of the table -->\n"

Cell = Callable[[KnownStore, Capabilities], bool | str]


def _record(field: str) -> Cell:
    return lambda tested, record: bool(getattr(record, field))


def _checksum(algorithm: Checksum) -> Cell:
    return lambda tested, record: algorithm in record.checksums


def _claims(claim: str) -> Cell:
    return lambda tested, record: claim not in tested.lacks


def _own_expiry(tested: KnownStore, record: Capabilities) -> str:
    hours = tested.record.multipart_seconds // 3600
    return f"after {hours} h" if hours else "no"


ROWS: Mapping[str, Cell] = {
    "verifies the signature of a URL, and its end": _claims(SIGNATURES),
    "refuses headers that were not signed": lambda tested, record: not record.unsigned_headers,
    "`If-None-Match` on a PUT": _record("conditional_put"),
    "`If-None-Match` on Complete": _record("conditional_complete"),
    "`If-Match` on a delete": _record("conditional_delete"),
    "verifies CRC64NVME": _checksum(Checksum.CRC64NVME),
    "verifies CRC32C": _checksum(Checksum.CRC32C),
    "verifies SHA-256": _checksum(Checksum.SHA256),
    "verifies MD5": _checksum(Checksum.MD5),
    "shows checksums in ListParts": _record("listed_checksums"),
    "takes a repeated Complete": _record("idempotent_complete"),
    "refuses parts of an upload that is over": _claims(ENDED),
    "copies objects into parts": _claims(COPIES),
    "lists unfinished uploads by a prefix": lambda t, record: not record.exact_key_listing_only,
    "ends unfinished uploads by itself": _own_expiry,
    "takes lifecycle rules": _record("lifecycle"),
    "takes CORS rules": _record("cors_api"),
}


def table() -> str:
    """Return the table and the limits, as they stand between the markers."""
    measured = {name: read_record(str(RECORDS / f"{name}.toml")) for name in MEASURED}
    lines = [_row("", [STORES[name].title for name in MEASURED])]
    lines.append("|---" * (len(MEASURED) + 1) + "|")
    lines.append(_row("measured on", [_day(record) for record in measured.values()]))
    lines.append(_row("`PARTWAY_BACKEND`", [_kind(name) for name in MEASURED]))
    for title, cell in ROWS.items():
        found = [cell(STORES[name], measured[name]) for name in MEASURED]
        shown = [("yes" if each else "no") if isinstance(each, bool) else each for each in found]
        lines.append(_row(title, shown))
    return "\n".join([*lines, "", *_limits()]) + "\n"


def written(document: str) -> str:
    """Return the document with the table as it is now."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def _row(title: str, cells: list[str]) -> str:
    return f"| {' | '.join([title, *cells])} |"


def _day(record: Capabilities) -> str:
    [day] = re.findall(r"\d{4}-\d\d-\d\d", record.source)
    return str(day)


def _kind(name: str) -> str:
    return f"`{name}`" if name in KNOWN else "measured"


def _limits() -> Iterator[str]:
    for name in MEASURED:
        for claim, reason in STORES[name].lacks.items():
            yield f"- {STORES[name].title}: the tests leave out that a store {claim}. {reason}."


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text("utf-8")), "utf-8")
