"""`partway`, which is `python -m partway_client` too."""

from partway_client.cli.interrupt import end_at_once


def main() -> None:
    """Run the command line."""
    end_at_once()
    # After that: it takes its time.
    from partway_client.cli.main import main

    main(prog_name="partway")


if __name__ == "__main__":
    main()
