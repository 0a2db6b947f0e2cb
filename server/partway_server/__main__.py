"""The entry point: `partway-server`, which is also `python -m partway_server`."""

import os
import sys

from partway_server.cli.interrupt import end_at_once


def main() -> None:
    """Run the command line."""
    end_at_once()
    if sys.argv[1:2] == ["health"]:
        # A container starts it every few seconds, so it loads next to nothing.
        from partway_server.cli.health_probe import ask, read_probe, report

        if (probe := read_probe(sys.argv[2:], os.environ)) is not None:
            sys.exit(report(ask(probe, os.environ)))
    # The core of gRPC writes a line of its own to standard error for each handshake that fails and
    # each malformed header, which any stranger can cause. It reads this as it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Imported after that, because it takes a while.
    from partway_server.cli.main import main

    main(prog_name="partway-server")


if __name__ == "__main__":
    main()
