"""Tests the client's TLS files: what is refused before any call, and in which words."""

from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from partway_client import SyncUploadClient, UploadClient
from partway_client._transport.credentials import tls_credentials_from
from partway_client.cli.main import main

from examples.certs import Authority


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Write a CA, and the certificates of alice and bob."""
    authority = Authority.new()
    authority.pair().write(tmp_path, "ca")
    for name in ("alice", "bob"):
        authority.client(f"spiffe://example.org/acme/{name}").write(tmp_path, name)
    key = load_pem_private_key((tmp_path / "alice.key").read_bytes(), None)
    (tmp_path / "encrypted.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    )
    (tmp_path / "empty").touch()
    return tmp_path


def test_files_that_belong_together_are_taken(files: Path) -> None:
    made = tls_credentials_from(files / "ca.pem", files / "alice.pem", files / "alice.key")
    assert isinstance(made, grpc.ChannelCredentials)
    assert isinstance(tls_credentials_from(str(files / "ca.pem"), None, None), type(made))
    assert isinstance(tls_credentials_from(None, None, None), type(made))


BAD = [
    (("ca.pem", "alice.pem", "bob.key"), "do not belong together"),
    (("ca.pem", "alice.pem", None), "without its key"),
    (("ca.pem", None, "alice.key"), "without the certificate"),
    (("none.pem", None, None), "the CA file none.pem cannot be read: No such file"),
    (("empty", None, None), "the CA file empty holds no PEM certificate"),
    (("alice.key", None, None), "the CA file alice.key holds no PEM certificate"),
    ((None, "none.pem", "alice.key"), "the certificate file none.pem cannot be read"),
    ((None, "alice.pem", "none.key"), "the key file none.key cannot be read"),
    ((None, "alice.pem", "encrypted.key"), "are not a PEM certificate and its key, unencrypted"),
    ((None, "alice.pem", "empty"), "are not a PEM certificate and its key"),
    ((None, "empty", "alice.key"), "are not a PEM certificate and its key"),
    ((None, "alice.key", "alice.pem"), "are not a PEM certificate and its key"),
]


@pytest.mark.parametrize(("given", "words"), BAD)
@pytest.mark.parametrize("client", [UploadClient, SyncUploadClient])
def test_files_that_cannot_be_used_are_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
    files: Path,
    given: tuple[str | None, ...],
    words: str,
    client: type[UploadClient | SyncUploadClient],
) -> None:
    monkeypatch.chdir(files)
    ca, cert, key = given
    with pytest.raises(ValueError, match=words) as raised:
        client(tls_ca=ca, cert=cert, key=key, state_dir=files)
    lines = [line for file in files.glob("*.key") for line in file.read_text().splitlines()[1:-1]]
    assert not any(line in str(raised.value) for line in lines)


@pytest.mark.parametrize("by", ["flags", "variables"])
def test_the_command_says_what_is_wrong_with_its_files(files: Path, by: str) -> None:
    given = {"cert": str(files / "alice.pem"), "key": str(files / "bob.key")}
    flags = [word for name, value in given.items() for word in (f"--{name}", value)]
    environ = {f"PARTWAY_{name.upper()}": value for name, value in given.items()}
    ran = CliRunner(env=environ if by == "variables" else {}).invoke(
        main, ["list", *(flags if by == "flags" else [])]
    )
    assert ran.exit_code == 2
    assert "do not belong together" in ran.stderr
    missing = CliRunner().invoke(main, ["list", "--cert", str(files / "missing.pem")])
    assert (missing.exit_code, "does not exist" in missing.stderr) == (2, True)
