"""Tests that links between our documents resolve to a file and heading, and that paths exist."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(#[^)\s]*)?\)")


def documents() -> list[Path]:
    command = ["git", "ls-files", "-co", "--exclude-standard", "*.md"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in names.split()]


def links() -> dict[str, list[str]]:
    """Return the targets of all links, relative to the root, each with the documents naming it."""
    found: dict[str, list[str]] = {}
    for document in documents():
        for path, anchor in LINK.findall(document.read_text()):
            target = (document.parent / path).resolve() if path else document
            named = f"{target.relative_to(ROOT)}{anchor}"
            found.setdefault(named, []).append(str(document.relative_to(ROOT)))
    return found


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub gives to a document's headings."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("target", "named_by"), links().items(), ids=lambda value: str(value))
def test_a_link_leads_somewhere(target: str, named_by: list[str]) -> None:
    path, _, anchor = target.partition("#")
    assert (ROOT / path).exists(), named_by
    if anchor:
        assert anchor in anchors(ROOT / path), named_by


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_paths_of_code_exist(document: Path) -> None:
    """Check paths relative to the root or to the package of the service."""
    paths = re.findall(r"`([\w.]+/[\w/]+\.(?:py|lua|proto|toml))`", document.read_text())
    bases = (ROOT, ROOT / "server/partway_server")
    assert [path for path in paths if not any((base / path).exists() for base in bases)] == []
