"""Secrets that are recognized wherever they turn up, in any of their spellings."""

import base64
import functools
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

_MARKS = {
    "a signature": r"X-Amz-Signature",
    "a credential in a URL": r"X-Amz-Credential",
    "a session token in a URL": r"X-Amz-Security-Token",
    "a signed header": r"AWS4-HMAC-SHA256",
    "a presigned URL": r"https?://\S+[?&]partNumber=",
    "a signature of a webhook": r"\bv1,[A-Za-z0-9+/]{43}=",
}


def canary(kind: str) -> str:
    """Return a secret that nothing else contains, with characters that a URL must quote."""
    return f"canary/{kind.replace(' ', '-')}+{secrets.token_hex(12)}"


@dataclass(slots=True)
class Canaries:
    """The secrets of one run, by what they are."""

    known: dict[str, str] = field(default_factory=dict)

    def new(self, kind: str) -> str:
        """Make a secret of that kind."""
        return self.add(kind, canary(kind))

    def add(self, kind: str, secret: str) -> str:
        """Look for this secret, too."""
        self.known[kind] = secret
        return secret

    def add_key(self, kind: str, key: bytes, shown: str) -> str:
        """Look for a binary key, too: as it is written, and in its other spellings."""
        self.known[f"{kind} in hex"] = key.hex()
        self.known[f"{kind} as Python shows bytes"] = repr(key)[2:-1]
        return self.add(kind, shown)

    def found_in(self, text: str | bytes, *, marks: bool = True) -> set[str]:
        """Return what of the secrets is in a text and, with `marks`, whether a signed URL is."""
        where = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        found = self._secrets_in(where.lower())
        if marks:
            found |= {name for name, mark in _MARKS.items() if re.search(mark, where, re.I)}
        return found

    def _secrets_in(self, lower: str) -> set[str]:
        # One search for all first: most texts have none of them.
        if not _pattern(tuple(self.known.values())).search(lower):
            return set()
        return {
            kind
            for kind, secret in self.known.items()
            if any(spelling in lower for spelling in _spellings(secret))
        }

    def leaks(self, texts: Mapping[str, str | bytes], *, marks: bool = True) -> dict[str, set[str]]:
        """Return what is found where, of texts by what they are."""
        found = {name: self.found_in(text, marks=marks) for name, text in texts.items()}
        return {name: kinds for name, kinds in found.items() if kinds}


@functools.cache
def _pattern(known: tuple[str, ...]) -> re.Pattern[str]:
    spellings = {spelling for secret in known for spelling in _spellings(secret)}
    # Of no secret at all, nothing is found.
    return re.compile("|".join(map(re.escape, sorted(spellings))) or r"(?!)")


@functools.cache
def _spellings(secret: str) -> set[str]:
    """Return how a secret may be written, in lower case."""
    spellings = {
        secret,
        quote(secret, safe=""),
        quote(secret),
        secret.replace("/", "\\/"),
        # Inside a longer text the last digits depend on what follows.
        base64.b64encode(secret.encode()).decode().rstrip("=")[:-2],
        base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")[:-2],
        secret.encode().hex(),
    }
    return {each.lower() for each in spellings}
