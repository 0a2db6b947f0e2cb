"""Leave out of the log what gRPC reports of callers that have gone away.

grpc.aio logs a traceback, as for a fault, if a caller's connection breaks at the moment in which
its answer is sent (`_handle_exceptions` in
src/python/grpcio/grpc/_cython/_cygrpc/aio/server.pyx.pxi). Any stranger could fill the log with it.
"""

import logging

GRPC_LOGGER = "grpc._cython.cygrpc"

_NOT_SENT = "ExecuteBatchError"
"""The class, which gRPC does not export."""


class LostCallerFilter(logging.Filter):
    """Leaves out records about answers that could not be sent."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is about anything else."""
        kind = record.exc_info[0] if record.exc_info else None
        return kind is None or kind.__name__ != _NOT_SENT


LOST_CALLERS = LostCallerFilter()
