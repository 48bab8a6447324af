"""What the server does with the user's own pages: it shows, makes and describes them."""

from dataclasses import dataclass

from dunena.server.access.refusals import Refusals
from dunena.server.registry import Registry
from dunena.server.static.folder import WwwFolder
from dunena.server.static.new_pages import NewPages
from dunena.server.static.page_errors import PageErrors
from dunena.server.static.page_overview import PageOverview
from dunena.settings import Settings


@dataclass(frozen=True, slots=True)
class UserPages:
    """The folder of pages, what makes new ones in it, and what is known of those who open them."""

    www: WwwFolder
    new: NewPages
    errors: PageErrors
    overview: PageOverview

    @classmethod
    def of(cls, settings: Settings, refusals: Refusals, registry: Registry) -> "UserPages":
        """Return those of a server with these settings."""
        www = WwwFolder(settings.www, refusals)
        errors = PageErrors()
        return cls(
            www, NewPages(www, settings.new_www), errors, PageOverview(www, registry, errors)
        )
