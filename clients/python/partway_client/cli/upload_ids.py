"""Finds the upload that a command is about: by its id, the beginning of its sid, or as the last."""

import re
from collections.abc import Iterable, Sequence

from partway_client._upload.resume_journal import journal_directory, last_path, last_upload_id
from partway_client.cli.options import ServiceOptions
from partway_client.cli.output import CommandFailed, short_ids
from partway_client.client import UploadClient
from partway_client.models import UploadInfo

LAST = "-"

_SHORT = re.compile("[0-9a-f]{1,32}")
"""An upload_id is longer."""

_LEAST_CHARS = 4
_MOST_LISTED = 10_000
_MOST_NAMED = 10


async def full_ids(
    client: UploadClient, service: ServiceOptions, given: Sequence[str]
) -> list[str]:
    """Return the upload_id of each upload that is given. Raises CommandFailed, PartwayError."""
    listed: list[UploadInfo] = []
    if any(map(_SHORT.fullmatch, given)):
        listed = await client.list_uploads(limit=_MOST_LISTED)
    return [_full_id(service, each, listed) for each in given]


def _full_id(service: ServiceOptions, given: str, listed: Iterable[UploadInfo]) -> str:
    if given == LAST:
        return _last_id(service)
    if not _SHORT.fullmatch(given):
        return given
    if len(given) < _LEAST_CHARS:
        raise CommandFailed(f"{given} is too short; give {_LEAST_CHARS} characters or more")
    found = [upload for upload in listed if upload.sid.startswith(given)]
    if not found:
        raise CommandFailed(
            f"none of your newest {_MOST_LISTED:,} uploads begins with {given}; see partway list"
        )
    if len(found) > 1:
        names = [
            f"{short} ({upload.state.value}, {upload.key.rpartition('/')[2]})"
            for short, upload in zip(short_ids(found), found, strict=True)
        ]
        more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        raise CommandFailed(
            f"{given} is the beginning of {len(found)} uploads; give more of one:"
            f" {', '.join(names[:_MOST_NAMED])}{more}"
        )
    return found[0].upload_id


def _last_id(service: ServiceOptions) -> str:
    path = last_path(journal_directory(None), service.server, service.call_metadata)
    try:
        upload_id = last_upload_id(path)
    except (OSError, ValueError, KeyError, TypeError):
        raise CommandFailed(f"{path} cannot be read; name the upload: see partway list") from None
    if not upload_id:
        raise CommandFailed(
            f"no upload to {service.server} was started here lately; see partway list"
        )
    return upload_id
