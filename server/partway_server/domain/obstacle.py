"""What keeps the service from using a store: found, and what to do about it."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why Redis or storage cannot be used, in sentences for an operator, without a secret.

    The start of the service and the doctor use the same words, from here. `passes`: it may go by
    itself, so that waiting helps; otherwise someone must change something.
    """

    found: str
    remedy: str
    passes: bool = False

    def __str__(self) -> str:
        return f"{self.found}. {self.remedy}"


class StoreUnusable(ValueError):
    """A store that cannot be used because of the `obstacle`. The text is a line for operators."""

    def __init__(self, whose: str, obstacle: Obstacle) -> None:
        super().__init__(f"{whose}: {obstacle}")
        self.obstacle = obstacle


UNTRUSTED, OTHER_NAME, EXPIRED = "untrusted certificate", "other name", "expired certificate"
"""What may be wrong with a server's certificate."""

# https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_VERIFY_CODES: Mapping[int, str] = {9: EXPIRED, 10: EXPIRED, 62: OTHER_NAME, 64: OTHER_NAME}


def certificate_word(error: BaseException | None) -> str:
    """Return what is wrong with a certificate that was not accepted."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFY_CODES.get(error.verify_code, UNTRUSTED)
    return UNTRUSTED
