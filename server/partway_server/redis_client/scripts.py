"""Load Lua scripts from files of this package."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class LuaScript:
    """A Lua script and the SHA-1 that Redis knows it by."""

    source: str
    sha: str


_ALLOW_OOM = "#!lua flags=allow-oom\n"
"""Makes Redis run a script past its `maxmemory`. Only Redis 7.0 and newer know flags, and read them
in the very first line (https://redis.io/docs/latest/develop/programmability/eval-intro/)."""


def load_script(*paths: str, allow_oom: bool = False) -> LuaScript:
    """Return the concatenation of these files, which are paths inside `partway_server`.

    With `allow_oom` the script may write past the `maxmemory` of Redis.
    """
    package = files("partway_server")
    source = "\n".join(package.joinpath(path).read_text("utf-8") for path in paths)
    if allow_oom:
        source = _ALLOW_OOM + source
    return LuaScript(source, hashlib.sha1(source.encode()).hexdigest())
