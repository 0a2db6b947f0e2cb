"""Parse Redis URLs: a single server, a master behind Sentinels, or a Cluster.

    redis://[user:password@]host[:6379][/db]            rediss:// with TLS, unix:///path
    redis+sentinel://[user:password@]host[:26379],host,host/service[/db]
    redis+cluster://[user:password@]host[:6379],host,host

The last two are not standardized, but several Python libraries read them, with `rediss+` for TLS.
User and password are those of the Redis servers; Sentinels with their own password get it from the
options sentinel_username and sentinel_password. All other options are redis-py's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

SENTINEL, CLUSTER = "sentinel", "cluster"

Address = tuple[str, int]

_PORTS = {SENTINEL: 26379, CLUSTER: 6379}


@dataclass(frozen=True, slots=True, repr=False)
class Deployment:
    """What a URL names: the `addresses` of Sentinels or of Cluster nodes.

    `server` and `sentinel` are the beginning and the end of the URL of one such server.
    """

    kind: str
    addresses: Sequence[Address]
    service: str
    server: tuple[str, str]
    sentinel: tuple[str, str]

    def server_url(self, address: Address) -> str:
        return _placed(self.server, address)

    def sentinel_url(self, address: Address) -> str:
        return _placed(self.sentinel, address)


def deployment(url: str) -> Deployment | None:
    """Return what the URL names, or None for a single server.

    Raises ValueError, with no text of the URL in it.
    """
    scheme, _, rest = url.partition("://")
    scheme, plus, kind = scheme.partition("+")
    if not plus:
        return None
    if scheme not in ("redis", "rediss") or kind not in _PORTS:
        raise ValueError("unknown scheme")
    rest, _, query = rest.partition("?")
    place, _, path = rest.partition("/")
    user, at, hosts = place.rpartition("@")
    service, _, db = path.partition("/")
    if kind == CLUSTER:
        service, db = "", path
        if db not in ("", "0"):
            raise ValueError("a Cluster has only database 0")
    elif not service:
        raise ValueError("the path must name the Sentinel service")
    if db and not db.isdecimal():
        raise ValueError("the database is not a number")
    sentinel_user, options = _sentinel_options(query)
    end = f"?{options}" if options else ""
    return Deployment(
        kind=kind,
        addresses=[_address(host, _PORTS[kind]) for host in hosts.split(",")],
        service=service,
        server=(f"{scheme}://{user}{at}", f"/{db or 0}{end}"),
        sentinel=(f"{scheme}://{sentinel_user}", end),
    )


def _sentinel_options(query: str) -> tuple[str, str]:
    """Return the credentials part of a Sentinel's URL, and the query without their options."""
    options = dict(parse_qsl(query))
    user = quote(options.pop("sentinel_username", ""), safe="")
    password = quote(options.pop("sentinel_password", ""), safe="")
    return f"{user}:{password}@" if user or password else "", urlencode(options)


def _address(text: str, port: int) -> Address:
    try:
        parts = urlsplit(f"//{text}")
        found = parts.port or port
    except ValueError:
        # Its text may contain a piece of a password.
        parts, found = urlsplit(""), 0
    if not parts.hostname or parts.netloc != text:
        raise ValueError("each address must be host or host:port")
    return parts.hostname, found


def _placed(around: tuple[str, str], address: Address) -> str:
    host, port = address
    return f"{around[0]}{f'[{host}]' if ':' in host else host}:{port}{around[1]}"
