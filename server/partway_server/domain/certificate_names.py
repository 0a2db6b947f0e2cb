"""The names in a client certificate, and the rules that find a caller, or a trusted peer, in them.

A name is written as rules write it: `spiffe://example.org/acme/alice`, `dns:alice.acme.internal`,
`subject:CN=alice`. Anything that could be read in two ways is not a name: of a SPIFFE ID, or of an
attribute of the subject, a certificate must have exactly one.
"""

import re
from collections import Counter
from collections.abc import Sequence

from partway_server.domain.policy import valid_tenant

_SPIFFE, _DNS, _SUBJECT = "spiffe://", "dns:", "subject:"

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]+")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}|\*")
_ATTRIBUTE = re.compile(r"(CN|O|OU|L|ST|C|DC|UID)=(.+)", re.DOTALL)
_CHARACTERS = {
    # https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md, section 2.2
    _SPIFFE: "A-Za-z0-9._-",
    # No asterisk: the name of a wildcard certificate is that of no one.
    _DNS: "a-z0-9_-",
    _SUBJECT: " -~",
}
_DOTS = re.compile(r"/\.{1,2}(/|$)")
_PRINTABLE = re.compile(r"[ -~]+")


def certificate_names(
    *, uris: Sequence[str], dns: Sequence[str], subject: Sequence[tuple[str, str]]
) -> Sequence[str]:
    """Return the names in a certificate: `subject` are attributes, such as ("CN", "alice").

    What is not printable ASCII is left out: letters that look alike, and a NUL that ends a name for
    some readers.
    """
    # A certificate with several URIs is not an X.509-SVID. Other URIs could pass for other names.
    names = [*uris] if len(uris) == 1 and _is_spiffe_id(uris[0]) else []
    names += [f"{_DNS}{name.lower()}" for name in dns]
    count = Counter(attribute for attribute, _ in subject)
    names += [f"{_SUBJECT}{key}={value}" for key, value in subject if count[key] == 1]
    return tuple(name for name in names if _PRINTABLE.fullmatch(name))


class CertificateRule:
    """A rule that finds tenant and subject in the names of a certificate.

    Raises ValueError, in words that come after the name of a setting.
    """

    def __init__(self, text: str) -> None:
        # Each attribute of a subject is a name of its own, and all of them must be there.
        if text.count("{tenant}") != 1 or text.count("{subject}") > 1:
            raise ValueError(f"{text!r} must have {{tenant}} once, and {{subject}} at most once")
        names = text.split(",") if text.startswith(_SUBJECT) else [text]
        names = [names[0], *(f"{_SUBJECT}{name.strip()}" for name in names[1:])]
        self._patterns = [_compiled(name, placeholders=("tenant", "subject")) for name in names]

    def match(self, names: Sequence[str]) -> tuple[str, str] | None:
        """Return tenant and subject, "" without a {subject}; None unless exactly one name fits."""
        values: dict[str, str] = {}
        for pattern in self._patterns:
            found = [match for name in names if (match := pattern.fullmatch(name))]
            if len(found) != 1:
                return None
            values |= found[0].groupdict()
        tenant, subject = values["tenant"], values.get("subject", "")
        return (tenant, subject) if valid_tenant(tenant) else None


class CertificatePatterns:
    """A comma-separated list of names, in which * stands for one segment, label or value.

    Raises ValueError, in words that come after the name of a setting.
    """

    def __init__(self, text: str) -> None:
        names = [name.strip() for name in text.split(",") if name.strip()]
        self._patterns = [_compiled(name, placeholders=()) for name in names]

    def include(self, names: Sequence[str]) -> bool:
        """Return whether one of the names is in the list."""
        return any(pattern.fullmatch(name) for pattern in self._patterns for name in names)


def certificate_rule_problem(text: str) -> str:
    """Return what is wrong with a rule, or ""."""
    try:
        CertificateRule(text)
    except ValueError as error:
        return str(error)
    return ""


def certificate_patterns_problem(text: str) -> str:
    """Return what is wrong with a list of names, or ""."""
    try:
        CertificatePatterns(text)
    except ValueError as error:
        return str(error)
    return ""


def _is_spiffe_id(uri: str) -> bool:
    return uri.startswith(_SPIFFE) and not _DOTS.search(uri)


def _compiled(name: str, *, placeholders: Sequence[str]) -> re.Pattern[str]:
    """Return the expression that a name must match as a whole. Raises ValueError."""
    form = next((each for each in _CHARACTERS if name.startswith(each)), "")
    if not form:
        raise ValueError(f"{name!r} does not begin with {_SPIFFE}, {_DNS} or {_SUBJECT}")
    fixed, rest = _fixed_and_rest(name, form)
    separator = {_SPIFFE: "/", _DNS: "."}.get(form)
    pieces = rest.split(separator) if separator else [rest]
    expressions = (_piece(name, piece, form, placeholders) for piece in pieces)
    return re.compile(re.escape(fixed) + re.escape(separator or "").join(expressions))


def _fixed_and_rest(name: str, form: str) -> tuple[str, str]:
    """Return what no placeholder may be in, and the rest. Raises ValueError."""
    if form == _SPIFFE:
        domain, slash, path = name.removeprefix(_SPIFFE).partition("/")
        if not _TRUST_DOMAIN.fullmatch(domain) or not path:
            raise ValueError(f"{name!r} is not spiffe://TRUST-DOMAIN/PATH, with a fixed domain")
        return f"{_SPIFFE}{domain}/", path
    if form == _DNS:
        return _DNS, name.removeprefix(_DNS).lower()
    attribute = _ATTRIBUTE.fullmatch(name.removeprefix(_SUBJECT).strip())
    if attribute is None:
        raise ValueError(f"{name!r} is not subject:CN=VALUE, or O, OU, L, ST, C, DC, UID")
    return f"{_SUBJECT}{attribute[1]}=", attribute[2]


def _piece(name: str, piece: str, form: str, placeholders: Sequence[str]) -> str:
    """Return the expression of one segment, label or value. Raises ValueError."""
    marks = [*_PLACEHOLDER.finditer(piece)]
    if not piece or len(marks) > 1:
        # Where two meet, it would be unclear where one ends.
        raise ValueError(f"{name!r} has an empty part, or one with several placeholders")
    start, end = marks[0].span() if marks else (len(piece), len(piece))
    before, after = piece[:start], piece[end:]
    characters = f"[{_CHARACTERS[form]}]"
    if not re.fullmatch(f"{characters}*", before + after):
        raise ValueError(f"{name!r} has a character that no such name has")
    middle = ""
    if marks:
        known = {"*": f"{characters}+"} if not placeholders else {}
        known |= {f"{{{each}}}": f"(?P<{each}>{characters}+)" for each in placeholders}
        if marks[0][0] not in known:
            raise ValueError(f"{name!r} has {marks[0][0]}; known are {', '.join(known)}")
        middle = known[marks[0][0]]
    return re.escape(before) + middle + re.escape(after)
