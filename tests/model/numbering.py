"""Values by number, so that a state of the model is a tuple of small integers."""

from typing import Generic, TypeVar

T = TypeVar("T")


class Numbered(Generic[T]):
    """A numbering: equal values get the same number, and are equal if their reprs are."""

    def __init__(self) -> None:
        self._values: list[T] = []
        self._numbers: dict[str, int] = {}

    def number(self, value: T) -> int:
        name = repr(value)
        found = self._numbers.get(name)
        if found is None:
            found = self._numbers[name] = len(self._values)
            self._values.append(value)
        return found

    def __getitem__(self, number: int) -> T:
        return self._values[number]
