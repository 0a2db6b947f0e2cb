"""Every link between our documents leads to a file, and to a heading in it."""

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
    """Return the targets of all links, from the root, each with the documents that name it."""
    found: dict[str, list[str]] = {}
    for document in documents():
        for path, anchor in LINK.findall(document.read_text()):
            target = (document.parent / path).resolve() if path else document
            named = f"{target.relative_to(ROOT)}{anchor}"
            found.setdefault(named, []).append(str(document.relative_to(ROOT)))
    return found


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a document."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("target", "named_by"), links().items(), ids=lambda value: str(value))
def test_a_link_leads_somewhere(target: str, named_by: list[str]) -> None:
    path, _, anchor = target.partition("#")
    assert (ROOT / path).exists(), named_by
    if anchor:
        assert anchor in anchors(ROOT / path), named_by
