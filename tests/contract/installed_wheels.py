"""Install the wheels of a folder into a fresh environment, as a user does, and run what they bring.

Run it as `python -m tests.contract.installed_wheels FOLDER`. It needs nothing but Python and a
package index.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

COMMANDS = (
    ("partway", "--version"),
    ("partway-server", "--version"),
    ("partway-server", "--help"),
    ("python", "-m", "pip", "check"),
)

GRPC = "import grpc; assert grpc.__version__.startswith('1.78.'), grpc.__version__"
"""The bounds of the server hold in what was installed."""


def main(folder: Path) -> None:
    """Install and run. Raises CalledProcessError."""
    wheels = sorted(folder.glob("partway_*.whl"))
    if len(wheels) != 3:
        sys.exit(f"{folder} has {len(wheels)} wheels of 3; run make dist")
    with tempfile.TemporaryDirectory() as name:
        venv.create(name, with_pip=True)
        commands = Path(name, "bin")
        install = ("pip", "install", "--quiet", "--disable-pip-version-check", *map(str, wheels))
        subprocess.run([commands / "python", "-m", *install], check=True)
        for command, *arguments in (*COMMANDS, ("python", "-c", GRPC)):
            subprocess.run([commands / command, *arguments], check=True, cwd=name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
