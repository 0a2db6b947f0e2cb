"""Tests which caller is found in the names of a certificate, and which names are refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partway_server.domain.certificate_names import (
    CertificatePatterns,
    CertificateRule,
    certificate_names,
    certificate_patterns_problem,
    certificate_rule_problem,
)

from tests.support.examples import examples

SPIFFE = "spiffe://example.org/{tenant}/{subject}"
DNS = "dns:{subject}.{tenant}.internal"
SUBJECT = "subject:O={tenant},CN={subject}"


def found(
    rule: str,
    *,
    uris: tuple[str, ...] = (),
    dns: tuple[str, ...] = (),
    subject: tuple[tuple[str, str], ...] = (),
) -> tuple[str, str] | None:
    return CertificateRule(rule).match(certificate_names(uris=uris, dns=dns, subject=subject))


@pytest.mark.parametrize(
    ("rule", "uri", "caller"),
    [
        (SPIFFE, "spiffe://example.org/acme/alice", ("acme", "alice")),
        ("spiffe://example.org/ns/{tenant}", "spiffe://example.org/ns/acme", ("acme", "")),
        (
            "spiffe://example.org/ns/{tenant}/sa/{subject}",
            "spiffe://example.org/ns/acme/sa/up-loader.1",
            ("acme", "up-loader.1"),
        ),
        ("spiffe://x/t-{tenant}", "spiffe://x/t-acme", ("acme", "")),
        (SPIFFE, "spiffe://example.org/acme", None),
        (SPIFFE, "spiffe://example.org/acme/alice/more", None),
        (SPIFFE, "spiffe://example.org/acme/alice/", None),
        (SPIFFE, "spiffe://example.org//alice", None),
        (SPIFFE, "spiffe://example.org.evil/acme/alice", None),
        (SPIFFE, "spiffe://exampleXorg/acme/alice", None),
        (SPIFFE, "SPIFFE://example.org/acme/alice", None),
        (SPIFFE, "spiffe://example.org/../alice", None),
        (SPIFFE, "spiffe://example.org/acme/..", None),
        (SPIFFE, "spiffe://example.org/acme/al%69ce", None),
        (SPIFFE, "spiffe://example.org/acme/alice?x=1", None),
        (SPIFFE, "spiffe://example.org/acme/alice\n", None),
        (SPIFFE, "spiffe://example.org/acme/alice\0", None),
        (SPIFFE, "spiffe://example.org/acme/alic\u0435", None),
        (SPIFFE, f"spiffe://example.org/{'a' * 65}/alice", None),
        (SPIFFE, "spiffe://example.org/.hidden/alice", None),
        (SPIFFE, "https://example.org/acme/alice", None),
    ],
)
def test_a_spiffe_id_is_read_as_a_whole(
    rule: str, uri: str, caller: tuple[str, str] | None
) -> None:
    assert found(rule, uris=(uri,)) == caller


def test_a_certificate_with_several_uris_has_no_spiffe_id() -> None:
    one, other = "spiffe://example.org/acme/alice", "https://example.org/about"
    assert found(SPIFFE, uris=(one,)) == ("acme", "alice")
    assert found(SPIFFE, uris=(one, other)) is None
    assert found(SPIFFE, uris=(one, one)) is None


@pytest.mark.parametrize(
    ("names", "caller"),
    [
        (("alice.acme.internal",), ("acme", "alice")),
        (("Alice.ACME.Internal",), ("acme", "alice")),
        (("other.example", "alice.acme.internal"), ("acme", "alice")),
        (("alice.acme.internal", "bob.acme.internal"), None),
        (("alice.acme.internal", "alice.evil.internal"), None),
        (("*.acme.internal",), None),
        (("alice.*.internal",), None),
        (("a.alice.acme.internal",), None),
        (("alice.acme.internal.evil.example",), None),
        (("alice.acmeXinternal",), None),
        (("alice.acme.internal.",), None),
        (("alice.acme.internal\0.evil.example",), None),
        (("alice\0.acme.internal",), None),
        (("al\u0131ce.acme.internal",), None),
        (("127.0.0.1",), None),
        ((".acme.internal",), None),
    ],
)
def test_exactly_one_dns_name_must_fit(
    names: tuple[str, ...], caller: tuple[str, str] | None
) -> None:
    assert found(DNS, dns=names) == caller


@pytest.mark.parametrize(
    ("subject", "caller"),
    [
        ((("O", "acme"), ("CN", "alice")), ("acme", "alice")),
        ((("CN", "alice"), ("OU", "x"), ("O", "acme")), ("acme", "alice")),
        ((("O", "acme"), ("CN", "Alice B. (ops)")), ("acme", "Alice B. (ops)")),
        ((("O", "acme"),), None),
        ((("CN", "alice"),), None),
        ((("O", "acme"), ("CN", "alice"), ("CN", "bob")), None),
        ((("O", "acme"), ("O", "acme"), ("CN", "alice")), None),
        ((("O", "Acme, Inc."), ("CN", "alice")), None),
        ((("O", "acme"), ("CN", "al\0ice")), None),
        ((("O", "acme\0"), ("CN", "alice")), None),
        ((("O", "acme"), ("CN", "\u0430lice")), None),
        ((("O", "acme"), ("CN", "alice\n")), None),
        ((("O", "acme,CN=root"), ("CN", "alice")), None),
        ((("O", "acme"), ("CN", "")), None),
    ],
)
def test_each_attribute_of_the_subject_must_be_there_once(
    subject: tuple[tuple[str, str], ...], caller: tuple[str, str] | None
) -> None:
    assert found(SUBJECT, subject=subject) == caller


def test_an_attribute_may_be_fixed() -> None:
    rule = "subject:O=Example Corp, OU={tenant}, CN={subject}"
    named = (("O", "Example Corp"), ("OU", "acme"), ("CN", "alice"))
    assert found(rule, subject=named) == ("acme", "alice")
    assert found(rule, subject=(("O", "Other"), *named[1:])) is None


def test_a_name_of_one_form_does_not_pass_for_one_of_another() -> None:
    assert found(SPIFFE, dns=("spiffe://example.org/acme/alice",)) is None
    assert found("dns:{tenant}", uris=("dns:acme",)) is None
    assert found(SUBJECT, uris=("subject:O=acme",), subject=(("CN", "alice"),)) is None


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("spiffe://example.org/{tenant}/{user}", "{user}"),
        ("spiffe://{tenant}/x", "fixed domain"),
        ("spiffe://Example.org/{tenant}", "fixed domain"),
        ("spiffe://example.org", "{tenant} once"),
        ("spiffe://example.org/{subject}", "{tenant} once"),
        ("spiffe://example.org/{tenant}/{tenant}", "{tenant} once"),
        ("spiffe://example.org/{tenant}-{subject}", "several placeholders"),
        ("spiffe://example.org//{tenant}", "empty part"),
        ("spiffe://example.org/{tenant}/*", "*"),
        ("dns:{subject}..{tenant}", "empty part"),
        ("dns:{tenant}.exa mple", "no such name"),
        ("subject:X={tenant}", "subject:CN=VALUE"),
        ("subject:O={tenant},", "subject:CN=VALUE"),
        ("O={tenant}", "does not begin"),
        ("email:{tenant}@example.org", "does not begin"),
    ],
)
def test_a_rule_that_is_unclear_is_refused(rule: str, words: str) -> None:
    assert words in certificate_rule_problem(rule)


@pytest.mark.parametrize(
    ("listed", "uris", "dns", "included"),
    [
        ("spiffe://example.org/gateway", ("spiffe://example.org/gateway",), (), True),
        ("spiffe://example.org/gateway", ("spiffe://example.org/gateway/x",), (), False),
        ("spiffe://example.org/gw/*", ("spiffe://example.org/gw/eu",), (), True),
        ("spiffe://example.org/gw/*", ("spiffe://example.org/gw/eu/1",), (), False),
        ("spiffe://example.org/*", ("spiffe://example.org/..",), (), False),
        ("dns:*.gateway.internal", (), ("eu.gateway.internal",), True),
        ("dns:*.gateway.internal", (), ("*.gateway.internal",), False),
        ("dns:*.gateway.internal", (), ("a.b.gateway.internal",), False),
        ("dns:a, dns:b", (), ("b",), True),
        ("dns:a, dns:b", (), ("c",), False),
        ("", (), ("c",), False),
    ],
)
def test_a_trusted_name_fits_as_a_whole(
    listed: str, uris: tuple[str, ...], dns: tuple[str, ...], included: bool
) -> None:
    names = certificate_names(uris=uris, dns=dns, subject=())
    assert CertificatePatterns(listed).include(names) is included


@pytest.mark.parametrize("listed", ["gateway", "dns:{tenant}", "dns:", "spiffe://*/gateway", "*"])
def test_an_unclear_list_of_trusted_names_is_refused(listed: str) -> None:
    assert certificate_patterns_problem(listed)
    assert not certificate_patterns_problem("dns:gateway, subject:CN=The gateway")


@given(st.text(), st.text())
@settings(max_examples=examples(300))
def test_what_is_found_is_what_the_certificate_says(tenant: str, subject: str) -> None:
    """Whatever the two are, a caller is found only if writing it into the rule gives the name."""
    uri = f"spiffe://example.org/{tenant}/{subject}"
    caller = found(SPIFFE, uris=(uri,))
    assert caller in (None, (tenant, subject))
    named = found(SUBJECT, subject=(("O", tenant), ("CN", subject)))
    assert named in (None, (tenant, subject))
    for each in (caller, named):
        assert each is None or (each[0].isascii() and (each[0] + each[1]).isprintable())
