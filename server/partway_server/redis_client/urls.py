"""The URLs of Redis: one server, a master that Sentinels know, or a Cluster.

    redis://[user:password@]host[:6379][/db]            rediss:// with TLS, unix:///path
    redis+sentinel://[user:password@]host[:26379],host,host/service[/db]
    redis+cluster://[user:password@]host[:6379],host,host

The last two are no standard, but what several Python libraries read, with `rediss+` for TLS. User
and password are those of the Redis servers; Sentinels with a password of their own get it by the
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
    """What a URL names: several `addresses` to ask, all of Sentinels or all of a Cluster.

    `server` and `sentinel` are what the URL of one of its servers begins with and ends with.
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
    """What the URL names, or None if that is a single server. Raises ValueError, with no text of
    the URL in it.
    """
    scheme, _, rest = url.partition("://")
    scheme, plus, kind = scheme.partition("+")
    if not plus:
        return None
    if scheme not in ("redis", "rediss") or kind not in _PORTS:
        raise ValueError("the scheme is unknown")
    rest, _, query = rest.partition("?")
    place, _, path = rest.partition("/")
    user, at, hosts = place.rpartition("@")
    service, _, db = path.partition("/")
    if kind == CLUSTER:
        service, db = "", path
        if db not in ("", "0"):
            raise ValueError("a Cluster has no databases but 0")
    elif not service:
        raise ValueError("the path names no service")
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
    """What stands before a Sentinel's host, and the query without what it was made from."""
    options = dict(parse_qsl(query))
    user = quote(options.pop("sentinel_username", ""), safe="")
    password = quote(options.pop("sentinel_password", ""), safe="")
    return f"{user}:{password}@" if user or password else "", urlencode(options)


def _address(text: str, port: int) -> Address:
    try:
        parts = urlsplit(f"//{text}")
        found = parts.port or port
    except ValueError:
        # Its text may hold a piece of a password.
        parts, found = urlsplit(""), 0
    if not parts.hostname or parts.netloc != text:
        raise ValueError("an address is not host:port")
    return parts.hostname, found


def _placed(around: tuple[str, str], address: Address) -> str:
    host, port = address
    return f"{around[0]}{f'[{host}]' if ':' in host else host}:{port}{around[1]}"
