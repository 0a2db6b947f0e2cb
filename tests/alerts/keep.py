"""Keeps, of what was recorded, the series that the rules and the board read.

python -m tests.alerts.keep FOLDER
"""

import json
import sys
from pathlib import Path

from tests.alerts.names import read_by_rules_and_board

RECORDINGS = Path(__file__).parent / "recordings"


def keep(recorded: Path) -> None:
    """Write the series that are read, and ever were anything but 0, one a line."""
    found = json.loads(recorded.read_text())
    wanted = read_by_rules_and_board()
    series = {
        name: values
        for name, values in found.pop("series").items()
        if name.partition("{")[0] in wanted
    }
    lines = [f"{json.dumps(name)}: {json.dumps(_short(v))}" for name, v in series.items()]
    head = json.dumps(found)[:-1]
    text = f'{head}, "series": {{\n' + ",\n".join(lines) + "\n}}\n"
    (RECORDINGS / recorded.name).write_text(text)


def _short(values: list[float | None]) -> list[float | None]:
    return [v if v is None else int(v) if v == int(v) else round(v, 4) for v in values]


if __name__ == "__main__":
    for each in sorted(Path(sys.argv[1]).glob("*.json")):
        keep(each)
