"""Calls BatchInitialize and BatchComplete, and reads their results."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb

from tests.support.world import ALICE, PART, Failure, World, failure_in

SMALL, LARGE = 1000, 2 * PART + 7
"""The sizes of a file that is one PUT, and of one in three parts."""


def a_file(size: int = SMALL, **fields: Any) -> pb.InitializeRequest:
    named = {"file_name": "leaf.txt", "part_size_bytes": PART if size > PART else 0}
    return pb.InitializeRequest(**{"size_bytes": size, **named, **fields})


async def initialize(
    world: World, *files: pb.InitializeRequest, caller: Any = ALICE, **options: Any
) -> list[pb.BatchInitializeResult]:
    request = pb.BatchInitializeRequest(requests=files)
    answer = await world.stub.BatchInitialize(request, metadata=caller, **options)
    return list(answer.results)


async def complete(
    world: World, *upload_ids: str, caller: Any = ALICE, **options: Any
) -> list[pb.BatchCompleteResult]:
    asked = [pb.CompleteRequest(upload_id=each) for each in upload_ids]
    request = pb.BatchCompleteRequest(requests=asked)
    answer = await world.stub.BatchComplete(request, metadata=caller, **options)
    return list(answer.results)


Results = Sequence[pb.BatchInitializeResult] | Sequence[pb.BatchCompleteResult]


def uploads(results: Results) -> list[upload_pb2.Upload]:
    """Return the Uploads of results that are all successes."""
    assert not [each.status for each in results if each.HasField("status")]
    return [each.response.upload for each in results]


def failures(results: Results) -> list[Failure]:
    """Return the failures among the results. Each result is a response or a failure."""
    assert all(each.HasField("status") != each.HasField("response") for each in results)
    return [failure_in(each.status) for each in results if each.HasField("status")]


def reasons(results: Results) -> Counter[str]:
    return Counter(each.reason for each in failures(results))
