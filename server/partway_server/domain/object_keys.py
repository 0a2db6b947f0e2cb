"""Build object keys from templates and sanitized segments."""

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from string import Formatter

from partway_server.domain.key_marks import SEGMENT_CHARS

MAX_KEY_BYTES = 1024
"""The longest key (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html)."""

MAX_NAME_BYTES = 200

NO_EXTENSION = "bin"
"""The placeholder for a missing extension."""

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
    """Return whether callers may use this metadata key: 1 to 64 of `a-z 0-9 -`, not reserved."""
    return _METADATA_KEY.fullmatch(key) is not None


def filled(template: str, values: Mapping[str, str]) -> str:
    """Return the template with its fields replaced by their values, unchecked."""
    return "".join(
        literal + (values[name] if name is not None else "")
        for literal, name, _, _ in Formatter().parse(template)
    )


def fields_of(template: str) -> set[str]:
    """Return the names of the fields in a valid template."""
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


def prefix_of(template: str) -> str:
    """Return the common prefix of all keys: the template up to its first field."""
    prefix = ""
    for literal, name, _, _ in Formatter().parse(template):
        prefix += literal
        if name is not None:
            break
    return prefix


def template_problems(template: str, metadata: Collection[str]) -> Iterator[str]:
    """Yield each problem of a key template. `metadata` are the keys that it may name."""
    try:
        pieces = [piece for piece in Formatter().parse(template) if piece[1] is not None]
    except ValueError as error:
        yield f"is invalid: {error}; double a literal brace"
        return
    used = {name for _, name, _, _ in pieces if name is not None}
    named = {METADATA + key for key in metadata}
    if foreign := sorted(name for name in used - named if name.startswith(METADATA)):
        yield f"uses {_shown(foreign)}, which is not in key_metadata; add the key there"
    if unknown := sorted(used - named - set(foreign) - set(_LONGEST)):
        yield f"uses unknown {_shown(unknown)}; allowed are {_shown([*_LONGEST, METADATA + 'KEY'])}"
    if any(spec or conversion for _, _, spec, conversion in pieces):
        yield "must not have a format after a field, which could truncate what makes keys unique"
    if not {"tenant", "date", "sid"} <= used:
        yield "needs {tenant}, {date} and {sid}, to separate tenants and make keys unique"
    if any(unicodedata.category(character) == "Cc" for character in template):
        yield "contains a control character"
    if {"", ".", ".."} & set(template.split("/")):
        yield "has an empty or dot segment; remove leading, trailing and double slashes"
    # An unknown field has been reported; here it counts as one of the caller's.
    longest = {**dict.fromkeys(used, "m" * MAX_NAME_BYTES), **_LONGEST}
    if len(filled(template, longest).encode()) > MAX_KEY_BYTES:
        yield f"can produce keys longer than {MAX_KEY_BYTES} bytes; shorten it"


def _shown(names: Collection[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


def safe_name(name: str) -> str:
    """Return `name` as one harmless key segment that a person still recognizes.

    Letters, their marks and digits of any script are kept, as are dots, dashes and underscores; a
    run of anything else becomes one underscore. At most 200 bytes of UTF-8; the extension survives.
    """
    kept = (c if _harmless(c) else "_" for c in unicodedata.normalize("NFC", name))
    found = re.sub(r"_+", "_", re.sub(r"\.{2,}", ".", "".join(kept)))
    clean = found.lstrip("._").rstrip("._")
    if not clean:
        return "file"
    if found.startswith("_.") and "." not in clean:
        # Of the name only the extension is left, and would be taken for the name.
        clean = f"file.{clean}"
    stem, dot, extension = clean.rpartition(".")
    if not stem or len(extension.encode()) > _MAX_EXTENSION_BYTES:
        return _cut(clean, MAX_NAME_BYTES)
    return _cut(stem, MAX_NAME_BYTES - len(extension.encode()) - 1) + dot + extension


def extension_of(name: str) -> str:
    """Return the extension of a file name in lower case, "" if it has none that can be used."""
    stem, _, extension = safe_name(name).rpartition(".")
    lower = extension.lower()
    return lower if stem and len(lower.encode()) <= _MAX_EXTENSION_BYTES else ""


def _harmless(character: str) -> bool:
    # A mark belongs to the letter before it: without its vowel signs a Hindi word is another word.
    mark = unicodedata.category(character).startswith("M")
    return mark or character.isalnum() or character in "._-"


def _cut(text: str, max_bytes: int) -> str:
    return text.encode()[:max_bytes].decode(errors="ignore").rstrip("._")
