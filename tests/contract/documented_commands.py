"""Says of every command that the documents show which test runs it, or why none does.

A pattern fits the beginning of a command; the first that fits counts. What none runs is at least
parsed: a target of make, a subcommand, an option and a setting that it names exist
(test_documented_commands.py).
"""

import re

from tests.support.documents import Command

OPERATOR = "tests/e2e/test_operator_commands.py"
CALLER = "tests/e2e/test_documented_commands.py"

RUN = {
    r"partway-server (doctor|sweep|events|health|policy|settings|sizing)\b": OPERATOR,
    r"(\.venv/bin/)?partway (upload|list|watch)\b": OPERATOR,
    r"pg_dump \w+ \| gzip \| partway upload": OPERATOR,
    r"for shard in ": OPERATOR,
    r"redis-cli X": OPERATOR,
    r"export [A-Z_]+=|PARTWAY_REDIS_URL='rediss": OPERATOR,
    r"partway-server serve\b": OPERATOR,
    r"sed .* /tmp/\w+\.json": OPERATOR,
    r"cp \"\$\(python -c 'import importlib": OPERATOR,
    r"ACL SETUSER": "tests/e2e/test_canaries.py",
    r"grpcurl |buf curl |ghz |grpc-health-probe ": CALLER,
    r"(printf hello|ID=\$\(curl|curl|jq) ": CALLER,
    r"(\.venv/bin/)?partway-server dev.* --rest": CALLER,
    r"make (dev|t)\b": "tests/e2e/test_dev.py",
    r"\.venv/bin/partway-server dev --port 50051 --data-dir": "tests/e2e/test_dev.py",
    r"partway-server dev \| python examples/worker.py": "tests/e2e/test_worker.py",
    r"envoy ": "tests/contract/test_gateway.py",
    r"make docs-site": "tests/contract/test_site.py",
    r"partway-server top\b": "tests/unit/cli/test_top.py",
    r"(cd deploy/compose|sh secrets\.sh)": "tests/deploy/test_compose.py",
    r"make bench-peers \| .* -m bench\.sizing": "tests/bench/test_sizing.py",
}
"""The tests that run a command: as it is written, or with addresses and files of their own."""

NOT_RUN = {
    r"make (bench-|demo-page)": "needs Go, Node.js or a quiet machine, and minutes",
    r"make ": "prepares, checks or tests this repository: CI and developers run it",
    r"(docker|buildah) ": "needs a registry; tests/deploy checks what it reads",
    r"(kubectl|helm) ": "needs a cluster; tests/deploy checks what it installs",
    r"(PARTWAY_SERVER=\S+ partway upload|uvx )": "needs that stack, or an index",
    r"python3 -m venv /opt": "installs into a folder of the system",
    r"journalctl ": "reads the journal of a systemd service",
    r"OTEL_": "needs a collector; tests/service/test_traces.py sends to one of its own",
    r"npm test": "make test-browser runs it",
    r"(\.venv/bin/)?python -m bench\.": "needs a quiet machine, and minutes",
    r"(PARTWAY_\w+=\w+ )*\.venv/bin/python -m (pytest|pdb)": "runs tests, or waits for a person",
    r"\.venv/bin/python -c": "is for a person who looks at what it prints, until Ctrl-C",
    r"\(Pdb\) |py-spy ": "is typed into a debugger, or needs a process that hangs",
    r"pip install": "takes its package from an index on which it is not yet",
    r"(sum|max|count) by |rate\(": "is a query for Prometheus, whose metrics change with the load",
    r"aws ": "needs an account at AWS",
    r"weed ": "starts a server with a file of its reader; tests start theirs with other ports",
}
"""Commands that no test runs, and why."""


def run_by(command: Command) -> str | None:
    """Return the test that runs a command, if one does."""
    return next((test for begin, test in RUN.items() if re.match(begin, command.text)), None)


def not_run_because(command: Command) -> str | None:
    """Return why no test runs a command, if the table says it."""
    return next((why for begin, why in NOT_RUN.items() if re.match(begin, command.text)), None)
