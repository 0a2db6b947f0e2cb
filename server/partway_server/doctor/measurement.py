"""Measures what backends can do, by the checks of the doctor, when a service starts."""

import secrets
from collections import defaultdict
from collections.abc import Collection, Mapping

from partway_server.config.backends import Backend
from partway_server.config.capability_file import record_text
from partway_server.config.settings import Settings
from partway_server.doctor.capability_check import (
    ObservedCapabilities,
    doubtful,
    measured,
    source_of,
)
from partway_server.doctor.finding import Finding, Status
from partway_server.doctor.runner import STORAGE, CheckSelection, run_checks
from partway_server.domain.clock import SystemClock
from partway_server.runtime.measured_records import Measurement


async def measure(settings: Settings, backends: Collection[str]) -> Mapping[str, Measurement]:
    """Measure these backends, and return what was found of each.

    Leaves nothing in storage, cancelled or not.
    """
    clock = SystemClock()
    findings: list[Finding] = []
    observed: dict[str, list[ObservedCapabilities]] = defaultdict(list)
    begins_as: dict[str, str] = {}

    def observe(backend: Backend, found: ObservedCapabilities) -> None:
        begins_as[backend.name] = backend.begins_as
        observed[backend.name].append(found)

    await run_checks(
        settings,
        CheckSelection(only=STORAGE, backends=tuple(backends)),
        clock=clock,
        random_hex=secrets.token_hex,
        progress=lambda what: None,
        report=findings.append,
        observe=observe,
    )
    faults = [each.found for each in findings if each.status is Status.BAD]
    problems = tuple(f"storage cannot be measured: {fault}" for fault in faults)
    found: dict[str, Measurement] = {}
    for name in backends:
        if not (seen := observed[name]):
            found[name] = Measurement(problems=problems or (f"backend {name} cannot be measured",))
            continue
        text = record_text(begins_as[name], source_of(seen, clock.now()), measured(seen))
        found[name] = Measurement(text, doubtful(seen))
    return found
