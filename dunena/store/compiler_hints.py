"""`mypyc_attr`, by which a class tells the compiler what cannot be seen in it.

The compiler knows the decorator by its name alone. So what runs has this stand-in, and the package
that the real one is in is needed only to compile.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr as mypyc_attr
else:
    _Class = TypeVar("_Class", bound=type)

    def mypyc_attr(**_hints: bool) -> Callable[[_Class], _Class]:
        """Return a decorator that leaves a class as it is."""
        return lambda cls: cls
