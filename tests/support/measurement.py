"""Measures what a store can do, as an operator does: `partway-server doctor --write-record`.

`make measure-stores` runs it over the stores of the suites, and keeps what it says.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from partway_server.config.capability_file import read_record
from partway_server.devstack.servers import S3
from partway_server.storage.capabilities import Capabilities

from tests.support.processes import Server, service_environ

NO_REDIS = "redis://127.0.0.1:1/0"
"""The doctor needs a URL, and with `--only storage` does not open it."""

SECONDS = 120
"""How long it may take over a slow store on a busy machine."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the doctor says of a store: its exit code, its findings by name, and the record."""

    exit_code: int
    findings: Mapping[str, Mapping[str, str]]
    record: Capabilities
    file: Path

    def bad(self) -> set[str]:
        """Return the names of what is bad."""
        return {name for name, found in self.findings.items() if found["status"] == "bad"}

    def of(self, title: str) -> str:
        """Return the text of the record, with the name and version of the store for its own."""
        return re.sub(r'(?<=measured on ....-..-..)[^"]*', f": {title}", self.file.read_text())


def measure(s3: S3, folder: Path, kind: str = "generic", record: Path | None = None) -> Measurement:
    """Run the doctor over the bucket of `s3`, as a backend of that kind or with that record."""
    file = folder / f"{kind}.{'again' if record else 'first'}.toml"
    settings = {"backend": kind, **({"backend_record": str(record)} if record else {})}
    environ = service_environ(s3, NO_REDIS, **settings)
    words = ("doctor", "--json", "--only", "storage", "--write-record", str(file))
    with Server(*words, log=folder / "doctor.log", environ=environ) as server:
        printed = json.loads(server.stdout.read())
        code = server.process.wait(SECONDS)
    findings = {found["name"]: found for found in printed["findings"]}
    return Measurement(code, findings, read_record(str(file)), file)
