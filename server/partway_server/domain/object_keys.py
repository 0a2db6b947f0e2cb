"""Object keys: their templates, and the harmless segments that they are made of."""

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from string import Formatter

from partway_server.domain.key_marks import SEGMENT_CHARS

MAX_KEY_BYTES = 1024
"""The longest key (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html)."""

MAX_NAME_BYTES = 200

NO_EXTENSION = "bin"
"""What stands for the extension of a name that has none."""

METADATA = "metadata."

_MAX_EXTENSION_BYTES = 20
_LONGEST = {
    "tenant": "t" * 64,
    "subject": "s" * MAX_NAME_BYTES,
    "date": "yyyy/mm/dd",
    "sid": "0" * SEGMENT_CHARS,
    "name": "n" * MAX_NAME_BYTES,
    "extension": "e" * _MAX_EXTENSION_BYTES,
}
_METADATA_KEY = re.compile(r"(?!partway-)[a-z0-9-]{1,64}")


def valid_metadata_key(key: str) -> bool:
    """Whether callers can send metadata of this name: 1 to 64 of `a-z 0-9 -`, not Partway's own."""
    return _METADATA_KEY.fullmatch(key) is not None


def filled(template: str, values: Mapping[str, str]) -> str:
    """The template with a value for each of its fields, and nothing else looked at."""
    return "".join(
        literal + (values[name] if name is not None else "")
        for literal, name, _, _ in Formatter().parse(template)
    )


def fields_of(template: str) -> set[str]:
    """The names of the fields in a template that was found good."""
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


def prefix_of(template: str) -> str:
    """What all keys begin with: the template up to its first field."""
    prefix = ""
    for literal, name, _, _ in Formatter().parse(template):
        prefix += literal
        if name is not None:
            break
    return prefix


def template_problems(template: str, metadata: Collection[str]) -> Iterator[str]:
    """What is wrong with a key template, a line each; `metadata` are the keys that it may name."""
    try:
        pieces = [piece for piece in Formatter().parse(template) if piece[1] is not None]
    except ValueError as error:
        yield f"cannot be read: {error}; a brace that is meant is written twice"
        return
    used = {name for _, name, _, _ in pieces if name is not None}
    named = {METADATA + key for key in metadata}
    if foreign := sorted(name for name in used - named if name.startswith(METADATA)):
        yield f"has {_shown(foreign)}; list the key in key_metadata, too"
    if unknown := sorted(used - named - set(foreign) - set(_LONGEST)):
        yield f"has {_shown(unknown)}; it knows only {_shown([*_LONGEST, METADATA + 'KEY'])}"
    if any(spec or conversion for _, _, spec, conversion in pieces):
        yield "takes no format after a field: it could cut what keeps keys apart"
    if not {"tenant", "date", "sid"} <= used:
        yield "needs {tenant}, {date} and {sid}, so that tenants stay apart and no key comes twice"
    if any(unicodedata.category(character) == "Cc" for character in template):
        yield "has a control character"
    if {"", ".", ".."} & set(template.split("/")):
        yield "has a segment that is empty or a dot: no slash at either end, nor two in a row"
    # A field that is not known has been told; here it counts as one of the caller's.
    longest = {**dict.fromkeys(used, "m" * MAX_NAME_BYTES), **_LONGEST}
    if len(filled(template, longest).encode()) > MAX_KEY_BYTES:
        yield f"can make keys of more than {MAX_KEY_BYTES} bytes; shorten it"


def _shown(names: Collection[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


def safe_name(name: str) -> str:
    """A form of `name` that is one harmless segment of a key, and still tells a person what it was.

    Letters, their marks and digits of any script stay, so do dots, dashes and underscores; runs of
    anything else become one underscore. At most 200 bytes of UTF-8; the extension survives.
    """
    kept = (c if _harmless(c) else "_" for c in unicodedata.normalize("NFC", name))
    clean = re.sub(r"_+", "_", re.sub(r"\.{2,}", ".", "".join(kept))).lstrip("._").rstrip("._")
    if not clean:
        return "file"
    stem, dot, extension = clean.rpartition(".")
    if not stem or len(extension.encode()) > _MAX_EXTENSION_BYTES:
        return _cut(clean, MAX_NAME_BYTES)
    return _cut(stem, MAX_NAME_BYTES - len(extension.encode()) - 1) + dot + extension


def extension_of(name: str) -> str:
    """What follows the last dot of a file's name, in small letters; "" if nothing of use does."""
    stem, _, extension = safe_name(name).rpartition(".")
    lower = extension.lower()
    return lower if stem and len(lower.encode()) <= _MAX_EXTENSION_BYTES else ""


def _harmless(character: str) -> bool:
    # A mark belongs to the letter before it: without its vowels a Hindi word is another one.
    mark = unicodedata.category(character).startswith("M")
    return mark or character.isalnum() or character in "._-"


def _cut(text: str, max_bytes: int) -> str:
    return text.encode()[:max_bytes].decode(errors="ignore").rstrip("._")
