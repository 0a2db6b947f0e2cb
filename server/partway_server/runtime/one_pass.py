"""One pass over what is due and over storage, as a service makes it all the time."""

from partway_server.cleanup.expiry import BATCH
from partway_server.cleanup.report import Report
from partway_server.config.policy_file import PolicyFileError, Rules
from partway_server.config.reload import Unusable
from partway_server.config.settings import Settings
from partway_server.domain.clock import SystemClock
from partway_server.domain.policy_registry import PolicyRegistry
from partway_server.runtime.measured_records import MeasuredRecords
from partway_server.runtime.startup import open_stores, read_credentials, read_rules
from partway_server.runtime.waiting import StartupError, raise_if, unusable_sessions
from partway_server.runtime.wiring import Service, build


async def sweep(settings: Settings, *, report: Report, dry_run: bool) -> None:
    """Do once what the janitor and the sweeper of a service do all the time.

    Each thing found is reported. With `dry_run` nothing is changed, and buckets are not probed.
    Raises StartupError, or SessionsUnavailable if Redis goes away half way.
    """
    rules = await _rules(settings)
    secrets = read_credentials(settings, rules)
    async with open_stores(settings, rules, secrets) as (sessions, storage):
        raise_if(await unusable_sessions(sessions))
        service = build(
            settings,
            policies=PolicyRegistry(rules.policies),
            sessions=sessions,
            storage=storage,
            clock=SystemClock(),
        )
        try:
            await tidy(service, report=report, dry_run=dry_run)
        finally:
            await service.tasks.drain(settings.grace_seconds)


async def _rules(settings: Settings) -> Rules:
    """Read the rules, with what a service has measured. Raises StartupError."""
    rules = read_rules(settings)
    if not any(backend.is_unmeasured for backend in rules.backends.values()):
        return rules
    try:
        return await MeasuredRecords(settings, None).read_rules()
    except (Unusable, PolicyFileError) as error:
        raise StartupError("\n".join(error.lines)) from error


async def tidy(service: Service, *, report: Report, dry_run: bool) -> None:
    """Make one pass over the uploads that are due and over storage."""
    if dry_run:
        await service.janitor.preview(report)
    else:
        while len(await service.janitor.sweep(report)) == BATCH:
            pass
    await service.sweeper.sweep(report, dry_run=dry_run)
