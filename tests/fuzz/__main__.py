"""`python -m tests.fuzz`: see --help."""

import os
import sys


def main() -> int:
    # Programs are started by fork and exec, which gRPC would comment on every time. It reads this
    # when it is imported.
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"
    from tests.fuzz import command

    return command.main()


if __name__ == "__main__":
    sys.exit(main())
