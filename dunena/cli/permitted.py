"""The rights of the token that a command uses, as `/info` describes them."""

from dataclasses import dataclass
from typing import Any, Self

_ALL = "*"


@dataclass(frozen=True, slots=True)
class Permitted:
    """The rights of a token, and the patterns of keys and namespaces that they apply to."""

    rights: list[str]
    keys: list[str]
    namespaces: list[str]

    @classmethod
    def of(cls, info: dict[str, Any]) -> Self:
        """Read the rights from ``info``, the answer of `/info`; a newer server may tell of more."""
        permitted = info["permitted"]
        return cls(permitted["rights"], permitted["keys"], permitted["namespaces"])

    def may(self, right: str) -> bool:
        """Return whether the token has ``right`` for at least some keys."""
        return right in self.rights

    @property
    def is_everything(self) -> bool:
        """Return whether the rights apply to every key of every namespace."""
        return _ALL in self.keys and _ALL in self.namespaces

    @property
    def shown(self) -> str:
        """Describe the keys that the rights apply to, in words."""
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
