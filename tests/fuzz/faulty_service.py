"""`partway-server` with a fault put into it, to see that a run finds it.

FUZZ_FAULT says which: `raises`, a handler raises;
`shows`, an error shows a secret and the log, too; `dies`, the process ends by itself.
"""

import os
from typing import Any

from partway_server.domain.errors import StorageUnavailable
from partway_server.rpc.servicer import UploadServicer

FAULT = "FUZZ_FAULT"


def _put_in(fault: str) -> None:
    sound: Any = UploadServicer.ListParts

    async def faulty(self: UploadServicer, request: Any, context: Any) -> Any:
        if request.page_size:
            if fault == "dies":
                os._exit(3)
            if fault == "shows":
                raise StorageUnavailable(os.environ["PARTWAY_S3_SECRET_KEY"])
            raise KeyError("page_size")
        return await sound(self, request, context)

    UploadServicer.ListParts = faulty  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    _put_in(os.environ.get(FAULT, "raises"))
    from partway_server.__main__ import main

    main()
