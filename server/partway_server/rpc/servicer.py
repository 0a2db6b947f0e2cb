"""The RPCs. Each handler checks, calls and converts."""

from partway.v1 import upload_service_pb2_grpc as rpc

from partway_server.rpc.handlers.ending import EndingHandlers
from partway_server.rpc.handlers.opening import OpeningHandlers
from partway_server.rpc.handlers.parts import PartHandlers
from partway_server.rpc.handlers.presigning import PresigningHandlers
from partway_server.rpc.handlers.querying import QueryHandlers


class UploadServicer(
    OpeningHandlers,
    PresigningHandlers,
    PartHandlers,
    EndingHandlers,
    QueryHandlers,
    rpc.UploadServiceServicer,
):
    """UploadService over a Coordinator."""

    def leave(self) -> None:
        """End the calls that would otherwise last as long as their callers like."""
        self.coordinator.watch.stop()
