"""Convert the answers of a batch's items into its results."""

from typing import Any

from google.rpc import status_pb2
from partway.v1 import upload_service_pb2 as pb


def initialize_result(
    answer: pb.InitializeResponse | status_pb2.Status,
) -> pb.BatchInitializeResult:
    """Return the result of one file."""
    if isinstance(answer, status_pb2.Status):
        return pb.BatchInitializeResult(status=answer)
    return pb.BatchInitializeResult(response=answer)


def complete_result(answer: pb.CompleteResponse | status_pb2.Status) -> pb.BatchCompleteResult:
    """Return the result of one Upload."""
    if isinstance(answer, status_pb2.Status):
        return pb.BatchCompleteResult(status=answer)
    return pb.BatchCompleteResult(response=answer)


def failed_items(response: Any) -> int:
    """Return how many items of a batch failed; 0 for the response of any other call."""
    if not isinstance(response, pb.BatchInitializeResponse | pb.BatchCompleteResponse):
        return 0
    return sum(result.HasField("status") for result in response.results)
