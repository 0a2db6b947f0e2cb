"""Lets `python -m partway_server` stand for `partway-server`."""

from partway_server.cli import main

main(prog_name="partway-server")
