"""The entry point: `partway-server`, which is also `python -m partway_server`."""

import os

from partway_server.cli.interrupt import end_at_once


def main() -> None:
    """Run the command line."""
    end_at_once()
    # The core of gRPC writes a line of its own to standard error for each handshake that fails and
    # each malformed header, which any stranger can cause. It reads this as it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Imported after that, because it takes a while.
    from partway_server.cli.main import main

    main(prog_name="partway-server")


if __name__ == "__main__":
    main()
