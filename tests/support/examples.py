"""Sets how many examples Hypothesis tries: a few while you work, all of them in CI.

PARTWAY_TEST_HYPOTHESIS selects the profile, `dev` or `ci`. Without it the profile is `ci` if CI is
set, as on hosted runners, and `dev` elsewhere; `make test` always selects `ci`.
"""

import os

from hypothesis import settings

PROFILE = "PARTWAY_TEST_HYPOTHESIS"

_DEFAULT = 100
_SHARE_OF_DEV = 10


def profile() -> str:
    return os.environ.get(PROFILE) or ("ci" if os.environ.get("CI") else "dev")


def examples(in_ci: int) -> int:
    """Return how many examples to try locally for a test that tries `in_ci` of them in CI."""
    return in_ci if profile() == "ci" else max(1, in_ci // _SHARE_OF_DEV)


def load_profile() -> None:
    """Set the profile for every test that states no number of its own.

    Raises InvalidArgument if there is no such profile.
    """
    # No deadline: on a busy machine any example may be slow now and then.
    settings.register_profile("ci", max_examples=_DEFAULT, deadline=None, print_blob=True)
    settings.register_profile("dev", max_examples=_DEFAULT // _SHARE_OF_DEV, deadline=None)
    settings.load_profile(profile())
