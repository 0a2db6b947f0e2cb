"""Parses the options that commands share."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from partway_client.cli.output import direct_messages
from partway_client.cli.token_option import STDIN, CliToken, token_from

F = TypeVar("F", bound=Callable[..., Any])

_SIZE = re.compile(r"(\d+) ?([kmgt]?)(|b|ib)", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """The service to call, and how to call it."""

    server: str
    tls: bool
    tls_ca: Path | None
    cert: Path | None
    key: Path | None
    call_metadata: Mapping[str, str]
    token: CliToken = field(repr=False)


def service_options(command: F) -> F:
    """Add the options that every command has to `command`, which gets them as `service`.

    As the innermost decorator, it puts these options last in the help.
    """

    def gathered(
        *,
        server: str,
        tls: bool,
        tls_ca: Path | None,
        cert: Path | None,
        key: Path | None,
        tenant: str | None,
        subject: str | None,
        header: Mapping[str, str],
        token: str | None,
        token_file: Path | None,
        token_command: str | None,
        **others: Any,
    ) -> Any:
        named = {"partway-tenant": tenant, "partway-subject": subject}
        metadata = {key: value for key, value in named.items() if value} | dict(header)
        taken = STDIN in (*others.get("files", ()), others.get("files_from"))
        secret = token_from(token, token_file, token_command, stdin_taken=taken)
        service = ServiceOptions(server, tls, tls_ca, cert, key, metadata, secret)
        return command(service=service, **others)

    gathered.__name__, gathered.__doc__ = command.__name__, command.__doc__
    decorated: Any = gathered
    for option in reversed(_SERVICE_OPTIONS):
        decorated = option(decorated)
    given: F = decorated
    return given


def message_options(command: F) -> F:
    """Add the options that choose which messages `command` prints, and where they go."""

    @functools.wraps(command)
    def directed(*, quiet: bool, verbose: bool, log_file: Path | None, **others: Any) -> Any:
        if quiet and verbose:
            # One of them may be what the configuration file says for all commands.
            quiet, verbose = given_here("quiet"), given_here("verbose")
        if quiet and verbose:
            raise click.UsageError("--quiet and --verbose exclude each other")
        direct_messages(quiet=quiet, verbose=verbose, log_file=log_file)
        return command(**others)

    decorated: Any = directed
    for option in reversed(_MESSAGE_OPTIONS):
        decorated = option(decorated)
    given: F = decorated
    return given


def given_here(name: str) -> bool:
    """Return whether an option is on the command line, not only given for all commands."""
    source = click.get_current_context().get_parameter_source(name)
    return source is ParameterSource.COMMANDLINE


def parse_size(context: click.Context, option: click.Parameter, value: str | None) -> int:
    """Return a size in bytes: 16777216, 16M and 16MiB are the same, 16MB is 16,000,000."""
    if value is None:
        return 0
    found = _SIZE.fullmatch(value.strip())
    if found is None:
        raise click.BadParameter(f"{value!r} is not a size; write it like 16MiB")
    number, unit, ending = found[1], found[2].lower(), found[3].lower()
    base = 1000 if ending == "b" else 1024
    return int(number) * int(base ** _POWERS[unit])


def parse_time(
    context: click.Context, option: click.Parameter, value: str | None
) -> datetime | None:
    """Parse ISO 8601, such as 2026-03-01 or 2026-03-01T12:30:00+02:00; UTC without a zone."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is not a time; write it like 2026-03-01T12:30"
        ) from None


def parse_pairs(
    context: click.Context, option: click.Parameter, values: Sequence[str]
) -> dict[str, str]:
    """Parse KEY=VALUE pairs, each key at most once."""
    pairs: dict[str, str] = {}
    for value in values:
        key, equals, rest = value.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{value!r} is not KEY=VALUE")
        if key in pairs:
            raise click.BadParameter(f"{key!r} is given more than once")
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            # Python decodes undecodable bytes of an argument to these surrogates.
            raise click.BadParameter(f"{value!r} is not Unicode")
        pairs[key] = rest
    return pairs


_MESSAGE_OPTIONS = (
    click.option("--quiet", "-q", is_flag=True, help="Print only results and errors."),
    click.option(
        "--verbose",
        "-v",
        is_flag=True,
        help="Print also each retry, the route to storage and the part size, as they come.",
    ),
    click.option(
        "--log-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Append all messages to this file, those of --verbose too, each with its time and"
        " zone. It never contains a URL that authorizes, nor a token.",
    ),
)

_PEM_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

_SERVICE_OPTIONS = (
    click.option(
        "--server",
        envvar="PARTWAY_SERVER",
        default="127.0.0.1:50051",
        show_default=True,
        show_envvar=True,
        metavar="HOST:PORT",
        help="The address of the Partway service.",
    ),
    click.option(
        "--tls",
        envvar="PARTWAY_TLS",
        show_envvar=True,
        is_flag=True,
        help="Call the service over TLS.",
    ),
    click.option(
        "--tls-ca",
        envvar="PARTWAY_TLS_CA",
        show_envvar=True,
        type=_PEM_FILE,
        help="Call the service over TLS, trusting the certificates in this PEM file.",
    ),
    click.option(
        "--cert",
        envvar="PARTWAY_CERT",
        show_envvar=True,
        type=_PEM_FILE,
        help="Call the service over TLS, with the client certificate in this PEM file.",
    ),
    click.option(
        "--key",
        envvar="PARTWAY_KEY",
        show_envvar=True,
        type=_PEM_FILE,
        help="The PEM file with the key of that certificate.",
    ),
    click.option(
        "--tenant",
        envvar="PARTWAY_TENANT",
        show_envvar=True,
        help="The account on whose behalf to call.",
    ),
    click.option(
        "--subject",
        envvar="PARTWAY_SUBJECT",
        show_envvar=True,
        help="The user or service within the account.",
    ),
    click.option(
        "--header",
        multiple=True,
        metavar="KEY=VALUE",
        callback=parse_pairs,
        help="Metadata to send with every call; may be repeated.",
    ),
    click.option(
        "--token",
        envvar="PARTWAY_TOKEN",
        show_envvar=True,
        help="An upload token or a JSON Web Token to call with; - reads it from standard input. On"
        " the command line, other users of this machine can see it.",
    ),
    click.option(
        "--token-file",
        envvar="PARTWAY_TOKEN_FILE",
        show_envvar=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A file that holds the token. It is read again when it changes, and when the token is"
        " refused.",
    ),
    click.option(
        "--token-command",
        envvar="PARTWAY_TOKEN_COMMAND",
        show_envvar=True,
        metavar="COMMAND",
        help="A command that prints the token. It is run again when the token is refused.",
    ),
)
