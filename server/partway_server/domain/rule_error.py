"""What every set of rules raises when its rules contradict each other."""

Problem = tuple[str, str]
"""A rule, and what is wrong with its value and what to do, in words."""


class RuleError(ValueError):
    """Rules that cannot be used together. `problems` has all of them; no text holds a secret."""

    def __init__(self, owner: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(f"{owner}: " + "; ".join(f"{rule}: {words}" for rule, words in problems))
        self.problems = problems
