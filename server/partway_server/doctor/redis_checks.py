"""Judges Redis: facts to findings, with no I/O."""

from collections.abc import Iterator

from partway_server.doctor.access_checks import clock, latency
from partway_server.doctor.finding import Finding, bad, ok, skipped, warn
from partway_server.doctor.probes.redis import RedisFacts, RedisNode
from partway_server.domain.obstacle import Obstacle
from partway_server.redis_client import obstacles
from partway_server.sessions.redis_startup_check import OLDEST

REACHABLE, COMMANDS, SCRIPTS = "redis.reachable", "redis.commands", "redis.scripts"
VERSION, MODE, EVICTION = "redis.version", "redis.mode", "redis.eviction"
MEMORY, PERSISTENCE = "redis.memory", "redis.persistence"
CLOCK, LATENCY = "redis.clock", "redis.latency"

SLOW_SECONDS = 0.02
CLOCK_SECONDS = 5
_FULL, _NEARLY_FULL = 0.95, 0.75


def redis(facts: RedisFacts) -> Iterator[Finding]:
    """Judge everything about Redis."""
    if facts.obstacle:
        yield _bad(REACHABLE, facts.obstacle)
        rest = (COMMANDS, SCRIPTS, VERSION, MODE, EVICTION, MEMORY, PERSISTENCE, CLOCK, LATENCY)
        yield from skipped(rest, "Redis in reach")
        return
    yield ok(REACHABLE, "Redis answers")
    yield _commands(facts)
    yield _scripts(facts)
    if facts.nodes:
        yield _version(facts)
        yield _mode(facts)
        yield _eviction(facts)
        yield _memory(facts)
        yield _persistence(facts)
    else:
        yield from skipped((VERSION, MODE, EVICTION, MEMORY, PERSISTENCE), "the command INFO")
    if facts.skew_seconds is None:
        yield from skipped((CLOCK,), "a script that runs")
    else:
        yield clock(facts.skew_seconds, CLOCK, "Redis", CLOCK_SECONDS)
    yield latency(facts.ping_seconds, LATENCY, "PING", SLOW_SECONDS)


def _commands(facts: RedisFacts) -> Finding:
    if facts.forbidden:
        names = ", ".join(each.upper().replace("|", " ") for each in facts.forbidden)
        return bad(COMMANDS, f"the user may not run {names}", facts.rights)
    return ok(COMMANDS, "the user may run every command that the service needs")


def _scripts(facts: RedisFacts) -> Finding:
    if not facts.script:
        return ok(SCRIPTS, "a script writes a session record and removes it")
    if found := obstacles.writes(facts.script):
        return _bad(SCRIPTS, found)
    return bad(SCRIPTS, f"no script can run: {facts.script}", facts.rights)


def _bad(name: str, obstacle: Obstacle) -> Finding:
    return bad(name, obstacle.found, obstacle.remedy)


def _version(facts: RedisFacts) -> Finding:
    versions = _listed(node.version for node in facts.nodes)
    old = [n for n in facts.nodes if int(n.version.partition(".")[0] or 0) < OLDEST]
    if old:
        return _bad(VERSION, obstacles.too_old(old[0].version))
    return ok(VERSION, versions)


def _mode(facts: RedisFacts) -> Finding:
    modes = _listed(node.mode for node in facts.nodes)
    if "sentinel" in modes:
        return _bad(MODE, obstacles.MODES["sentinel"])
    if "cluster" in modes and not facts.cluster_client:
        return _bad(MODE, obstacles.MODES["cluster"])
    if any(node.role in ("slave", "replica") for node in facts.nodes):
        return _bad(MODE, obstacles.OBSTACLES["replica"])
    servers = f", {len(facts.nodes)} servers" if len(facts.nodes) > 1 else ""
    return ok(MODE, f"{modes or 'not reported'}{servers}")


def _eviction(facts: RedisFacts) -> Finding:
    policies = {node.policy for node in facts.nodes}
    if evicting := sorted(policies - {"noeviction", ""}):
        return _bad(EVICTION, obstacles.evicts(*evicting))
    if "" in policies:
        remedy = "Check in the settings of the hosted service that it is noeviction."
        return warn(EVICTION, "maxmemory-policy is not reported", remedy)
    return ok(EVICTION, "maxmemory-policy noeviction")


def _memory(facts: RedisFacts) -> Finding:
    fullest = max(facts.nodes, key=_fill)
    fill = _fill(fullest)
    used = f"{fullest.used_bytes / 2**20:.0f} MiB are used"
    if not fullest.maxmemory_bytes:
        return ok(MEMORY, f"{used}, with no limit (maxmemory 0)")
    found = f"{used} of {fullest.maxmemory_bytes / 2**20:.0f}"
    remedy = "redis-cli CONFIG SET maxmemory with more; a session record takes under 4 kB."
    if fill >= _FULL:
        return bad(MEMORY, f"{found}; when it is full, no upload can begin", remedy)
    return warn(MEMORY, found, remedy) if fill >= _NEARLY_FULL else ok(MEMORY, found)


def _fill(node: RedisNode) -> float:
    return node.used_bytes / node.maxmemory_bytes if node.maxmemory_bytes else 0.0


def _persistence(facts: RedisFacts) -> Finding:
    if all(node.aof for node in facts.nodes):
        return ok(PERSISTENCE, "every change is saved (AOF)")
    loss = (
        "a restart loses no upload, but the list of a caller's uploads, the idempotency of"
        " request_id, and the janitor's list of unfinished uploads"
    )
    remedy = "redis-cli CONFIG SET appendonly yes, and the same in its configuration."
    saves = [node.saves for node in facts.nodes if not node.aof]
    if all(saves):
        return ok(PERSISTENCE, "snapshots are taken (RDB)")
    state = "nothing is saved" if False in saves else "no AOF, and snapshots are not reported"
    return warn(PERSISTENCE, f"{state}: {loss}", remedy)


def _listed(words: Iterator[str]) -> str:
    return ", ".join(sorted(set(words)))
