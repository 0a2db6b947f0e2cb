"""Judges Redis: facts to findings, with no I/O."""

from collections.abc import Iterator

from partway_server.doctor.access_checks import clock, latency
from partway_server.doctor.finding import Finding, bad, ok, skipped, warn
from partway_server.doctor.probes.redis import RedisFacts, RedisNode

REACHABLE, COMMANDS, SCRIPTS = "redis.reachable", "redis.commands", "redis.scripts"
VERSION, MODE, EVICTION = "redis.version", "redis.mode", "redis.eviction"
MEMORY, PERSISTENCE = "redis.memory", "redis.persistence"
CLOCK, LATENCY = "redis.clock", "redis.latency"

OLDEST = 7
SLOW_SECONDS = 0.02
CLOCK_SECONDS = 5
_FULL, _NEARLY_FULL = 0.95, 0.75

_OBSTACLES = {
    "auth": (
        "it refuses the user name or password",
        "Check the user and the password in PARTWAY_REDIS_URL: redis://USER:PASSWORD@HOST:PORT/0,"
        " and percent-encode everything but letters and digits.",
    ),
    "timeout": (
        "it does not answer in time",
        "Check the host and the port in PARTWAY_REDIS_URL, the firewalls between, and"
        " whether it wants TLS: rediss:// if so.",
    ),
    "connect": (
        "the connection failed",
        "Check the host and the port in PARTWAY_REDIS_URL, that Redis is running, and whether it"
        " wants TLS: rediss:// if so, redis:// if not.",
    ),
    "loading": (
        "it is loading its data from disk and serves no one until then",
        "Wait; redis-cli INFO persistence shows the progress.",
    ),
    "busy": (
        "a script or function keeps it busy, and it serves no one else",
        "redis-cli SCRIPT KILL, or FUNCTION KILL, ends it. Find out whose it is: those of Partway"
        " take milliseconds.",
    ),
    "masterdown": (
        "it is a replica that has lost its primary",
        "Point PARTWAY_REDIS_URL at the primary.",
    ),
    "url": (
        "it does not accept the URL",
        "Check PARTWAY_REDIS_URL, including the database number at its end.",
    ),
}


_RIGHTS = (
    "Allow the Redis user the keys partway:*, the channel partway:changes and the commands"
    " evalsha, script|load, hgetall, hmget, zrange, subscribe and those of scripts: ACL SETUSER"
    " name ~partway:* &partway:changes +@read +@write +@scripting +@pubsub +ping +info."
)

_WRITES = {
    "OOM": "redis-cli CONFIG SET maxmemory with more; see redis.memory.",
    "NOREPLICAS": "Restore its replicas: it has fewer than its min-replicas-to-write.",
    "MISCONF": "It cannot save its data: check its log and the free space on its disk.",
}
"""How to fix a server that accepts no writes, by the first word of its error."""


def redis(facts: RedisFacts) -> Iterator[Finding]:
    """Judge everything about Redis."""
    if facts.obstacle:
        yield bad(REACHABLE, *_OBSTACLES[facts.obstacle])
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
        names = ", ".join(each.upper() for each in facts.forbidden)
        remedy = "Add to the rules of the Redis user: +ping +info."
        return bad(
            COMMANDS, f"the user may not run {names}, which the service needs at start", remedy
        )
    return ok(COMMANDS, "the user may run PING and INFO")


def _scripts(facts: RedisFacts) -> Finding:
    if not facts.script:
        return ok(SCRIPTS, "a script writes a session record and removes it")
    if facts.script.startswith("READONLY") or "-READONLY" in facts.script:
        return bad(SCRIPTS, "it is a replica", "Point PARTWAY_REDIS_URL at the primary.")
    remedy = _WRITES.get(facts.script.partition(" ")[0], _RIGHTS)
    return bad(SCRIPTS, f"no script can run: {facts.script}", remedy)


def _version(facts: RedisFacts) -> Finding:
    versions = _listed(node.version for node in facts.nodes)
    old = [n for n in facts.nodes if int(n.version.partition(".")[0] or 0) < OLDEST]
    if old:
        return bad(VERSION, f"{old[0].version} is too old", "Run Redis 7.0 or newer, or Valkey.")
    return ok(VERSION, versions)


def _mode(facts: RedisFacts) -> Finding:
    modes = _listed(node.mode for node in facts.nodes)
    if "sentinel" in modes:
        remedy = "Point PARTWAY_REDIS_URL at the Redis that it monitors."
        return bad(MODE, "it is a Sentinel, which stores no data", remedy)
    if "cluster" in modes and not facts.cluster_client:
        remedy = "Use redis+cluster://HOST:PORT,HOST:PORT, or a Redis without cluster mode."
        return bad(MODE, "it is a Cluster, but the URL is that of a single server", remedy)
    if any(node.role in ("slave", "replica") for node in facts.nodes):
        return bad(MODE, "it is a replica", "Point PARTWAY_REDIS_URL at the primary.")
    servers = f", {len(facts.nodes)} servers" if len(facts.nodes) > 1 else ""
    return ok(MODE, f"{modes or 'not reported'}{servers}")


def _eviction(facts: RedisFacts) -> Finding:
    policies = {node.policy for node in facts.nodes}
    if evicting := sorted(policies - {"noeviction", ""}):
        remedy = (
            "redis-cli CONFIG SET maxmemory-policy noeviction, and the same in its configuration;"
            " or give Partway a Redis of its own."
        )
        return bad(
            EVICTION,
            f"it may evict session records: maxmemory-policy {', '.join(evicting)}",
            remedy,
        )
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
