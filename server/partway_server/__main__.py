"""The entry point: `partway-server`, which is also `python -m partway_server`."""

from partway_server.cli.interrupt import end_at_once


def main() -> None:
    """Run the command line."""
    end_at_once()
    # Imported after that, because it takes a while.
    from partway_server.cli.main import main

    main(prog_name="partway-server")


if __name__ == "__main__":
    main()
