"""Brings documents that live beside their code into the site, and leads other links to the code.

The Markdown files are written to be read where they are, in the repository: a link is a path
relative to its file. On the site, some files of other folders are pages too, docs/operate.md is
several, and what is not a page is linked to at the repository.
"""

import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "bench/README.md": "bench.md",
    "clients/python/README.md": "clients/python.md",
    "clients/typescript/README.md": "clients/typescript.md",
    "deploy/envoy/README.md": "deploy/envoy.md",
    "deploy/grafana/README.md": "deploy/grafana.md",
    "deploy/iam/README.md": "deploy/iam.md",
    "deploy/prometheus/README.md": "deploy/prometheus.md",
    "examples/README.md": "examples/index.md",
    "examples/browser/README.md": "examples/browser.md",
    "tests/model/README.md": "tests/model.md",
}
"""Files outside docs/ that are pages of the site, and where."""

OPERATE = "operate.md"
PARTS = {
    "operate/install.md": (
        "Install",
        "For operators who set up the service, its storage and its Redis.",
        ("Install", "Start", "Redis", "Storage", "The doctor", "Policies", "Clocks"),
    ),
    "operate/size.md": (
        "Size",
        "For operators who plan machines, memory and limits.",
        ("Workers", "Capacity", "Overload", "Limits of tenants", "Parts through the service"),
    ),
    "operate/secure.md": (
        "Secure",
        "For operators who decide who may reach what. [Who calls](identity.md) is about callers.",
        ("TLS", "Secrets in files", "Callers"),
    ),
    "operate/observe.md": (
        "Observe",
        "For operators who want to see what the service does. The [runbooks](runbooks/index.md) "
        "say what to do when an alert fires.",
        ("Metrics", "Logs", "Traces", "Health"),
    ),
    "operate/rotate.md": (
        "Rotate keys",
        "For operators who replace keys. [Secure](operate.md#secrets-in-files) says when files of "
        "certificates and credentials are read again.",
        ("Sealing keys",),
    ),
    "operate/clean-up.md": (
        "Clean up and notify",
        "For operators who want to know what the service does by itself.",
        ("What is cleaned up", "Events and webhooks"),
    ),
    "operate/stop.md": (
        "Stop",
        "For operators who restart processes. [Versions](versions.md) is about upgrades.",
        ("Shutting down",),
    ),
}
"""The pages that docs/operate.md becomes: their titles, whom they are for, and their sections. A
section that none names stays where it is."""

_SOURCES = {page: source for source, page in PAGES.items()}
_FENCED = re.compile(r"(^[ \t]*```.*?^[ \t]*```[ \t]*$)", re.M | re.S)
_LINK = re.compile(r"\]\((?![a-z]+:)([^)#\s]*)(#[^)\s]*)?\)")
_SECTION = re.compile(r"^## (.*)\n", re.M)
_HEADING = re.compile(r"^#{2,4} (.*)$", re.M)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of other folders, and those of docs/operate.md."""
    from mkdocs.structure.files import File

    for source, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    for page, text in divided().items():
        if page == OPERATE:
            files.remove(files.get_file_from_path(OPERATE))
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Rewrite the links of a page."""

    def is_page(uri: str) -> bool:
        return files.get_file_from_path(uri) is not None

    code = f"{config.repo_url}/blob/main/"
    return rewrite(markdown, page.file.src_uri, code=code, is_page=is_page)


def divided() -> dict[str, str]:
    """Return the pages that docs/operate.md becomes, with what no other takes on its own."""
    intro, *rest = _SECTION.split((ROOT / "docs" / OPERATE).read_text())
    sections = dict(zip(rest[::2], rest[1::2], strict=True))
    pages = {
        page: f"# {title}\n\n{about}\n\n" + _join(sections, names)
        for page, (title, about, names) in PARTS.items()
    }
    taken = {name for _, _, names in PARTS.values() for name in names}
    left = [name for name in sections if name not in taken]
    contents = "".join(
        f"| [{title}]({page}) | {', '.join(n for n in names if n in sections)} |\n"
        for page, (title, _, names) in PARTS.items()
    )
    pages[OPERATE] = f"{intro}| page | |\n|---|---|\n{contents}\n" + _join(sections, left)
    return pages


def rewrite(markdown: str, page: str, *, code: str, is_page: Callable[[str], bool]) -> str:
    """Return a page with its links as the site has them; what does not exist stays as it is."""
    source = _source(page)

    def replace(link: re.Match[str]) -> str:
        path, anchor = link[1], link[2] or ""
        if not path and source != f"docs/{OPERATE}":
            return link[0]
        named = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        named = named if path else source
        wanted = "index.md" if named == "README.md" else PAGES.get(named)
        wanted = _part(wanted or named.removeprefix("docs/"), path, anchor)
        if is_page(wanted):
            return f"]({posixpath.relpath(wanted, posixpath.dirname(page) or '.')}{anchor})"
        return f"]({code}{named}{anchor})" if (ROOT / named).exists() else link[0]

    parts = _FENCED.split(markdown)
    return "".join(text if i % 2 else _LINK.sub(replace, text) for i, text in enumerate(parts))


def _part(page: str, path: str, anchor: str) -> str:
    """Return the part of docs/operate.md that has an anchor, or the page itself."""
    if page != OPERATE or not anchor:
        return path if path in PARTS else page
    return next((part for part, text in divided().items() if anchor[1:] in _anchors(text)), page)


def _join(sections: dict[str, str], names: Any) -> str:
    return "".join(f"## {name}\n{sections[name]}" for name in names if name in sections)


def _anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = _HEADING.findall(_FENCED.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _source(page: str) -> str:
    """Return the file in the repository that a page is made from."""
    return f"docs/{OPERATE}" if page in PARTS else _SOURCES.get(page, f"docs/{page}")
