"""What every step of one upload works with."""

from dataclasses import dataclass

import aiohttp

from partway_client._progress_meter import ProgressMeter
from partway_client._source.file_source import FileSource
from partway_client._transport.retry_policy import RetryPolicy
from partway_client._transport.rpc_client import RpcClient
from partway_client._upload.line import Line
from partway_client._upload.line_record import LineRecord
from partway_client._upload.options import UploadOptions
from partway_client._upload.resume_journal import JournalEntry


@dataclass(frozen=True, slots=True)
class UploadContext:
    """The file, what was asked for, and the connections of one upload."""

    source: FileSource
    options: UploadOptions
    fingerprint: str
    rpc: RpcClient
    http: aiohttp.ClientSession
    entry: JournalEntry
    meter: ProgressMeter
    retry: RetryPolicy
    line: Line
    record: LineRecord
