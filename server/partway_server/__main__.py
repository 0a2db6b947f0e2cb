"""`partway-server`, which is `python -m partway_server` too."""

from partway_server.cli.interrupt import end_at_once


def main() -> None:
    """Run the command line."""
    end_at_once()
    # After that: it takes its time.
    from partway_server.cli.main import main

    main(prog_name="partway-server")


if __name__ == "__main__":
    main()
