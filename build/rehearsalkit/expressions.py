"""The expressions of GitHub's workflows: as much of them as ours have.

https://docs.github.com/en/actions/reference/workflows-and-actions/expressions: names, strings,
`==`, `!=`, `!`, `&&`, `||` and parentheses. There are no functions.
"""

import re
from collections.abc import Mapping
from typing import Any

from releasekit.errors import ReleaseError

Context = Mapping[str, Any]

_FILLED = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_TOKEN = re.compile(r"\s*('(?:[^']|'')*'|==|!=|&&|\|\||[!()]|[A-Za-z_][\w-]*(?:\.[\w-]+)*)")


def fill(text: str, context: Context) -> str:
    """The text with the value in the place of every `${{ ... }}`.

    Raises ReleaseError for an expression that is not understood.
    """
    return _FILLED.sub(lambda found: _to_text(evaluate(found[1], context)), text)


def is_true(condition: str, context: Context) -> bool:
    """Whether an `if:` holds; the braces may be left out there. An empty one always does."""
    found = _FILLED.fullmatch(condition.strip())
    return bool(evaluate(found[1] if found else condition, context)) if condition else True


def evaluate(text: str, context: Context) -> Any:
    """The value of an expression."""
    tokens, position = [], 0
    while text[position:].strip():
        found = _TOKEN.match(text, position)
        if found is None:
            raise ReleaseError(f"the rehearsal does not understand ${{{{{text}}}}}")
        tokens.append(found[1])
        position = found.end()
    reader = _Reader(tokens, context, text)
    value = reader.read_any()
    if reader.tokens:
        raise ReleaseError(f"the rehearsal does not understand ${{{{{text}}}}}")
    return value


class _Reader:
    """Reads an expression from its tokens, which it takes away from the left."""

    __slots__ = ("_context", "_text", "tokens")

    def __init__(self, tokens: list[str], context: Context, text: str) -> None:
        self.tokens = tokens
        self._context = context
        self._text = text

    def read_any(self) -> Any:
        """Operands of `||`: the first that is true, or the last."""
        value = self._read_all()
        while self._takes("||"):
            other = self._read_all()
            value = value or other
        return value

    def _read_all(self) -> Any:
        value = self._read_comparison()
        while self._takes("&&"):
            other = self._read_comparison()
            value = value and other
        return value

    def _read_comparison(self) -> Any:
        value = self._read_one()
        if self._takes("=="):
            return bool(value == self._read_one())
        if self._takes("!="):
            return bool(value != self._read_one())
        return value

    def _read_one(self) -> Any:
        if self._takes("!"):
            return not self._read_one()
        if self._takes("("):
            value = self.read_any()
            if not self._takes(")"):
                raise ReleaseError(f"a parenthesis is missing in ${{{{{self._text}}}}}")
            return value
        if not self.tokens or not re.match(r"['A-Za-z_]", self.tokens[0]):
            raise ReleaseError(f"the rehearsal does not understand ${{{{{self._text}}}}}")
        token = self.tokens.pop(0)
        return token[1:-1].replace("''", "'") if token.startswith("'") else self._look_up(token)

    def _look_up(self, name: str) -> Any:
        value: Any = self._context
        if name in ("true", "false"):
            return name == "true"
        if name.startswith("secrets."):
            return ""  # a rehearsal has none
        for part in name.split("."):
            if not isinstance(value, Mapping) or part not in value:
                raise ReleaseError(f"the rehearsal does not know what {name} is")
            value = value[part]
        return value

    def _takes(self, token: str) -> bool:
        if self.tokens[:1] != [token]:
            return False
        self.tokens.pop(0)
        return True


def _to_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
