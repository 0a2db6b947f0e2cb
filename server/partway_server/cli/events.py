"""`partway-server events`: the group of commands about events and webhooks."""

import click

from partway_server.cli.events_replay import replay
from partway_server.cli.events_tail import tail
from partway_server.cli.webhooks import dead, send_test


@click.group()
def events() -> None:
    """List the events of uploads, replay them, and see to webhooks.

    Every change of an upload is one event in Redis, for consumers to process; docs/events.md
    explains how. tail and replay need only Redis.
    """


for command in (tail, replay, dead, send_test):
    events.add_command(command)
