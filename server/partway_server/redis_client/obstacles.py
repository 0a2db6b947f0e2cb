"""Say what is wrong with a Redis: the words of the service's start and of the doctor."""

from collections.abc import Mapping, Sequence

from redis import exceptions
from redis.asyncio.sentinel import MasterNotFoundError

from partway_server.domain.obstacle import EXPIRED, OTHER_NAME, UNTRUSTED, Obstacle

_PLACE = "Check the host and the port in PARTWAY_REDIS_URL; the usual port is 6379."

OBSTACLES: Mapping[str, Obstacle] = {
    "auth": Obstacle(
        "it refuses the user name or password",
        "Check the user and the password in PARTWAY_REDIS_URL: redis://USER:PASSWORD@HOST:PORT/0,"
        " and percent-encode everything but letters and digits.",
    ),
    "dns": Obstacle(
        "the host name cannot be resolved",
        "Check the host in PARTWAY_REDIS_URL, and the DNS of this machine.",
        passes=True,
    ),
    "connect": Obstacle(
        "the connection failed",
        "Check the host and the port in PARTWAY_REDIS_URL, and that Redis is running.",
        passes=True,
    ),
    "timeout": Obstacle(
        "it does not answer in time",
        "Check the host and the port in PARTWAY_REDIS_URL, and the firewalls between.",
        passes=True,
    ),
    "closed": Obstacle(
        "the connection was closed without an answer",
        "Check the host and the port in PARTWAY_REDIS_URL, and what is between, such as a proxy.",
        passes=True,
    ),
    "wants TLS": Obstacle(
        "it speaks TLS there, and the URL is one without",
        "Begin PARTWAY_REDIS_URL with rediss instead of redis.",
    ),
    "plain": Obstacle(
        "it speaks no TLS there, and the URL is one for TLS",
        "Name the port for TLS in PARTWAY_REDIS_URL, or begin it with redis instead of rediss.",
    ),
    "http": Obstacle("a web server answers there, not Redis", _PLACE),
    "no Redis": Obstacle("what answers there is not Redis", _PLACE),
    UNTRUSTED: Obstacle(
        "its TLS certificate is from a CA that is not trusted",
        "Name the file of its CA in PARTWAY_REDIS_URL: rediss://HOST:PORT/0?ssl_ca_certs=/PATH.",
    ),
    OTHER_NAME: Obstacle(
        "its TLS certificate is for another host name",
        "Use a host name of the certificate in PARTWAY_REDIS_URL.",
    ),
    EXPIRED: Obstacle(
        "its TLS certificate has expired, or is not valid yet",
        "Renew the certificate of Redis, or correct the clock of this machine.",
    ),
    "client certificate": Obstacle(
        "it wants a TLS certificate of its clients",
        "Name one in PARTWAY_REDIS_URL: rediss://HOST:PORT/0?ssl_certfile=/PATH&ssl_keyfile=/PATH.",
    ),
    "tls": Obstacle(
        "the TLS handshake failed",
        "Check the options ssl_... of PARTWAY_REDIS_URL, and the versions of TLS that Redis"
        " accepts.",
        passes=True,
    ),
    "files": Obstacle(
        "a file that PARTWAY_REDIS_URL names for TLS cannot be used",
        "Check the paths in its options ssl_ca_certs, ssl_certfile and ssl_keyfile, and what is"
        " in the files.",
    ),
    "loading": Obstacle(
        "it is loading its data from disk and serves no one until then",
        "Wait; redis-cli INFO persistence shows the progress.",
        passes=True,
    ),
    "busy": Obstacle(
        "a script or function keeps it busy, and it serves no one else",
        "redis-cli SCRIPT KILL, or FUNCTION KILL, ends it. Find out whose it is: those of Partway"
        " take milliseconds.",
        passes=True,
    ),
    "masterdown": Obstacle(
        "it is a replica that has lost its primary",
        "Point PARTWAY_REDIS_URL at the primary.",
        passes=True,
    ),
    "url": Obstacle(
        "it does not accept the URL",
        "Check PARTWAY_REDIS_URL, including the database number at its end.",
    ),
    "single": Obstacle(
        "it is a single server, and the URL is that of a Cluster",
        "Begin PARTWAY_REDIS_URL with redis instead of redis+cluster.",
    ),
    "service": Obstacle(
        "the Sentinels know no master by that name",
        "Check the service in PARTWAY_REDIS_URL: redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/0.",
    ),
    "replica": Obstacle("it is a replica", "Point PARTWAY_REDIS_URL at the primary.", passes=True),
}
"""By a word for each."""

COMMANDS = (
    *("ping", "info", "time", "evalsha", "script|load", "subscribe", "publish", "exists"),
    *("hget", "hgetall", "hmget", "hset", "hdel", "hincrby", "hexists", "hscan"),
    *("pttl", "get", "set", "type", "del", "pexpire"),
    *("zadd", "zrem", "zrange", "zrangebyscore", "zrevrangebylex", "zremrangebyscore"),
    *("xadd", "xread", "xrange", "xrevrange", "xlen", "xdel", "xack", "xpending", "xreadgroup"),
    "xgroup|create",
)
"""What the service, its webhooks and `partway-server events` use, as ACL rules name them."""

SENTINEL_COMMANDS: Sequence[str] = ("role",)
CLUSTER_COMMANDS: Sequence[str] = ("cluster|slots", "asking")
"""What they use behind Sentinels, and in a Cluster, besides."""

_WRITES = {
    "OOM": ("it is full", "redis-cli CONFIG SET maxmemory with more."),
    "NOREPLICAS": (
        "it has fewer replicas than its min-replicas-to-write",
        "Restore its replicas.",
    ),
    "MISCONF": (
        "it cannot save its data",
        "Check its log and the free space on its disk.",
    ),
}
"""What is wrong with a server that accepts no writes, by the first word of its error."""

_CODES = {
    exceptions.BusyLoadingError: "LOADING",
    exceptions.MasterDownError: "MASTERDOWN",
    exceptions.OutOfMemoryError: "OOM",
    exceptions.ReadOnlyError: "READONLY",
}
"""The first words of errors, where redis-py strips them."""

_NOT_NOW = ("LOADING", "BUSY", "MASTERDOWN")


_FORBIDDEN = ("ACL failure in script", "The user executing the script can't", "NOPERM")
"""Errors about a command in a script that the user may not run, in recent versions and in Redis 7.0
(`scriptVerifyACL` in its script.c). An operator has changed the user's rights."""


def is_forbidden(error: BaseException) -> bool:
    """Return whether it is about a right that the user lacks."""
    return isinstance(error, exceptions.ResponseError) and str(error).startswith(_FORBIDDEN)


def rights(found: str, *more: str) -> Obstacle:
    """Return what is wrong with a user who lacks rights; `more` commands are needed as well."""
    rules = " ".join(f"+{command}" for command in (*COMMANDS, *more))
    remedy = (
        "Give the user of PARTWAY_REDIS_URL, here NAME, what Partway needs; if others use it too,"
        " make one for Partway alone:\n"
        f"ACL SETUSER NAME resetkeys ~partway:* resetchannels &partway:changes {rules}"
    )
    return Obstacle(found, remedy)


def evicts(*policies: str) -> Obstacle:
    """Return what is wrong with servers that have these values of maxmemory-policy."""
    return Obstacle(
        f"it may evict session records: maxmemory-policy {', '.join(policies)}",
        "redis-cli CONFIG SET maxmemory-policy noeviction, and the same in its configuration;"
        " or give Partway a Redis of its own.",
    )


def too_old(version: str) -> Obstacle:
    """Return what is wrong with a server of this version."""
    return Obstacle(f"{version} is too old", "Run Redis 7.0 or newer, or Valkey.")


MODES = {
    "cluster": Obstacle(
        "it is a Cluster, but the URL is that of a single server",
        "Use redis+cluster://HOST:PORT,HOST:PORT, or a Redis without cluster mode.",
    ),
    "sentinel": Obstacle(
        "it is a Sentinel, which stores no data",
        "Point PARTWAY_REDIS_URL at the Redis that it monitors:"
        " redis+sentinel://HOST:PORT,HOST:PORT/SERVICE.",
    ),
}
"""Modes that a server may report where a single Redis is expected."""


def uncovered(slots: int, of: int) -> Obstacle:
    """Return what is wrong with a Cluster that has slots without a server."""
    return Obstacle(
        f"{slots} of the {of} slots of the Redis Cluster have no server",
        "redis-cli --cluster check HOST:PORT shows which, and --cluster fix assigns them.",
        passes=True,
    )


def writes(said: str) -> Obstacle | None:
    """Return why a server accepts no writes, by its error; None for any other error."""
    if said.startswith("READONLY") or "-READONLY" in said:
        return OBSTACLES["replica"]
    if known := _WRITES.get(said.partition(" ")[0]):
        return Obstacle(*known, passes=True)
    return None


def said(error: BaseException) -> str:
    """Return what Redis said, with the code that redis-py may have stripped."""
    if code := _CODES.get(type(error)):
        return f"{code} {error}"
    return str(error) if isinstance(error, exceptions.ResponseError) else "no answer"


def word_of(error: BaseException) -> str:
    """Return the word in OBSTACLES for an error that is not about rights."""
    # Timeouts of redis-py and of the loop; redis-py reports a wrong password as a ConnectionError.
    if isinstance(error, exceptions.TimeoutError | TimeoutError):
        return "timeout"
    if isinstance(error, exceptions.AuthenticationError):
        return "auth"
    if isinstance(error, exceptions.InvalidResponse):
        return "no Redis"
    if isinstance(error, MasterNotFoundError):
        return "service"
    if (first := said(error).partition(" ")[0]) in _NOT_NOW:
        return first.lower()
    if isinstance(error, exceptions.ReadOnlyError):
        return "replica"
    if isinstance(error, exceptions.ConnectionError | OSError):
        return "connect"
    if "cluster support disabled" in str(error):
        return "single"
    return "auth" if first == "NOAUTH" else "url"
