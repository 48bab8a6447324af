"""What the token of a command may do, as the server says."""

from dataclasses import dataclass
from typing import Any, Self

_ALL = "*"


@dataclass(frozen=True, slots=True)
class Permitted:
    """The rights of a token, and the patterns of the keys and namespaces that they are for."""

    rights: list[str]
    keys: list[str]
    namespaces: list[str]

    @classmethod
    def of(cls, info: dict[str, Any]) -> Self:
        """From what `/info` answered."""
        return cls(**info["permitted"])

    def may(self, right: str) -> bool:
        """Whether it has a right, be it for some keys only."""
        return right in self.rights

    @property
    def is_everything(self) -> bool:
        """Whether its rights are for every key of every namespace."""
        return _ALL in self.keys and _ALL in self.namespaces

    @property
    def shown(self) -> str:
        """The keys that its rights are for, in words."""
        if not self.keys or not self.namespaces:
            return "no keys"
        keys = "keys" if _ALL in self.keys else f"the keys {', '.join(self.keys)}"
        if _ALL in self.namespaces:
            return keys
        named = [ns for ns in self.namespaces if ns]
        places = [f"in namespace {' or '.join(named)}"] if named else []
        if "" in self.namespaces:
            places.append("in no namespace")
        return f"{keys} {' or '.join(places)}"
