"""The entry point of `partway` and of `python -m partway_client`."""

from partway_client.cli.interrupt import end_at_once


def main() -> None:
    """Run the command line."""
    end_at_once()
    # Only now, since this import is slow.
    from partway_client.cli.main import main

    main(prog_name="partway")


if __name__ == "__main__":
    main()
