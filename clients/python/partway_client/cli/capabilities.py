"""The text of the `partway capabilities` command."""

from collections.abc import Iterator, Sequence

from rich.filesize import decimal

from partway_client.models import Capabilities, PolicyCapabilities

_UNITS = ((24 * 3600, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def lines(found: Capabilities) -> Iterator[str]:
    """Yield the lines: the service, then each policy as a block."""
    yield f"version {found.version}"
    yield (
        f"at most {found.max_batch_uploads} uploads and {found.max_batch_parts:,} parts in one"
        f" call, and {found.max_compose_sources} objects to compose"
    )
    for policy in found.policies:
        yield ""
        yield f"policy {policy.name}"
        rows = list(_rows(policy))
        width = max(len(name) for name, _ in rows)
        for name, words in rows:
            yield f"  {name:<{width}}  {words}"


def _rows(policy: PolicyCapabilities) -> Iterator[tuple[str, str]]:
    default = policy.default_checksum
    yield "size", f"{decimal(policy.min_size_bytes)} to {decimal(policy.max_size_bytes)}"
    yield "content types", _listed(policy.content_types)
    if policy.extensions:
        yield "extensions", "; ".join(f"{e}: {_listed(t)}" for e, t in policy.extensions.items())
    if policy.required_metadata:
        yield "required metadata", _listed(policy.required_metadata)
    yield "checksums", _listed([each.value for each in policy.checksums])
    yield "by default", default.value if default else "none is chosen: name one"
    yield (
        "part size",
        f"{decimal(policy.min_part_size_bytes)} to {decimal(policy.max_part_size_bytes)},"
        f" by default {decimal(policy.default_part_size_bytes)}",
    )
    yield "one PUT", f"up to {decimal(policy.single_put_max_bytes)}"
    yield "deadline", _lifetimes(policy.upload_seconds, policy.max_upload_seconds, "extended")
    yield "URLs work for", _lifetimes(policy.url_seconds, policy.max_url_seconds, "asked for")
    yield "through the service", "yes" if policy.via_service else "no"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)


def _lifetimes(usual: int, longest: int, how: str) -> str:
    return f"{_duration(usual)}, at most {_duration(longest)} if {how}"


def _duration(seconds: int) -> str:
    """Return the duration in the largest unit of which it is a whole number."""
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    count = seconds // size
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
