"""What the server does with the user's own pages: it shows, makes and describes them."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from dunena.server.access.refusals import Refusals
from dunena.server.http.message import Prepared, Request, Response
from dunena.server.registry import Registry
from dunena.server.static.folder import WwwFolder
from dunena.server.static.page_list import wants_page
from dunena.server.static.page_reports import (
    PAGES_PREFIX,
    PageErrors,
    PageLoad,
    PageLoads,
    PageReport,
    file_of,
)
from dunena.server.static.request_path import RequestPath, parse_request_path
from dunena.settings import Settings

if TYPE_CHECKING:
    from dunena.server.static.new_pages import NewPages
    from dunena.server.static.page_overview import PageOverview

_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class UserPages:
    """The folder of pages, and what is known of those who open them.

    ``place`` is where a folder of pages is made if the server has none; None for nowhere.
    """

    www: WwwFolder
    place: Path | None
    registry: Registry
    errors: PageErrors
    loads: PageLoads

    @classmethod
    def of(cls, settings: Settings, refusals: Refusals, registry: Registry) -> "UserPages":
        """Return those of a server with these settings."""
        www = WwwFolder(settings.www, refusals)
        return cls(www, settings.new_www, registry, PageErrors(), PageLoads())

    @property
    def new(self) -> "NewPages":
        """What makes pages from templates."""
        from dunena.server.static.new_pages import NewPages  # a start does not need it

        return NewPages(self.www, self.place)

    @property
    def overview(self) -> "PageOverview":
        """What describes the pages."""
        from dunena.server.static.page_overview import PageOverview  # a start does not need it

        return PageOverview(self.www, self.registry, self.errors, self.loads)

    def note_load(self, request: Request, now: int) -> None:
        """Remember that a browser loads a page by itself, and not in another page."""
        if wants_page(request) and request.headers.get("sec-fetch-dest", "document") == "document":
            load = PageLoad(request.address, request.program, now)
            self.loads.add(request.path.removeprefix("/"), load)

    def say_unknown(self, request: Request, now: int) -> Response:
        """Answer that the server has nothing at a path; a page that asks for it has an error."""
        refusal = Response.error(_NOT_FOUND, "Not found")
        if not _is_asked_by_page(request):
            return refusal
        return Response(_NOT_FOUND, later=partial(self._note_missing, request, refusal, now))

    # --- in a worker thread ---

    def serve(self, request: Request, request_path: RequestPath, now: int) -> Prepared:
        """Answer with a file of the folder; a page that asks for a missing one has an error."""
        prepared = self.www.prepare(request, request_path)
        if prepared.response.status == _NOT_FOUND and _is_asked_by_page(request):
            return self._note_missing(request, prepared.response, now)
        return prepared

    def take(self, report: PageReport, now: int) -> Prepared:
        """Remember what a page reports, if there is such a page."""
        path = parse_request_path(quote(file_of(report.page)))
        root = self.www.root
        if root is not None and path is not None and root.joinpath(*path.names).is_file():
            self.errors.add(report, now)
        return Prepared(Response(204))

    def _note_missing(self, request: Request, refusal: Response, now: int) -> Prepared:
        text = f"There is no {request.path.removeprefix('/')}, which it asks for"
        self.take(PageReport(request.referring_page, text), now)
        return Prepared(refusal)


def _is_asked_by_page(request: Request) -> bool:
    return request.referring_page.startswith(PAGES_PREFIX) and not wants_page(request)
