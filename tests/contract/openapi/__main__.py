"""Writes docs/openapi.json and docs/reference/rest.md: `make openapi` runs it.

python -m tests.contract.openapi FOLDER
"""

import json
import sys
from pathlib import Path

from tests.contract.openapi.document import build
from tests.contract.openapi.page import render


def main(folder: Path) -> None:
    document = build()
    (folder / "reference").mkdir(parents=True, exist_ok=True)
    (folder / "openapi.json").write_text(json.dumps(document, indent=2) + "\n")
    (folder / "reference" / "rest.md").write_text(render(document))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
