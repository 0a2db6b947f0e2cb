"""Writes docs/reference/cli.md and docs/reference/proto.md: `make docs` runs it.

python -m tests.contract.reference FOLDER
"""

import sys
from pathlib import Path

from tests.contract.reference import commands, proto


def main(folder: Path) -> None:
    (folder / "cli.md").write_text(commands.page())
    (folder / "proto.md").write_text(proto.page())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
