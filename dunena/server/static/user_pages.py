"""What the server does with the user's own pages: it shows, makes and describes them."""

from dataclasses import dataclass
from urllib.parse import quote

from dunena.server.access.refusals import Refusals
from dunena.server.http.message import Prepared, Request, Response
from dunena.server.registry import Registry
from dunena.server.static.folder import WwwFolder
from dunena.server.static.new_pages import NewPages
from dunena.server.static.page_list import wants_page
from dunena.server.static.page_overview import PAGES_PREFIX, PageOverview, file_of
from dunena.server.static.page_reports import PageErrors, PageLoad, PageLoads
from dunena.server.static.request_path import RequestPath, parse_request_path
from dunena.settings import Settings

_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class PageReport:
    """An error that a page reports: its path, what happened, and in which file and line."""

    page: str
    text: str
    where: str


@dataclass(frozen=True, slots=True)
class UserPages:
    """The folder of pages, what makes new ones in it, and what is known of those who open them."""

    www: WwwFolder
    new: NewPages
    errors: PageErrors
    loads: PageLoads
    overview: PageOverview

    @classmethod
    def of(cls, settings: Settings, refusals: Refusals, registry: Registry) -> "UserPages":
        """Return those of a server with these settings."""
        www = WwwFolder(settings.www, refusals)
        errors, loads = PageErrors(), PageLoads()
        overview = PageOverview(www, registry, errors, loads)
        return cls(www, NewPages(www, settings.new_www), errors, loads, overview)

    def serve(self, request: Request, request_path: RequestPath, now: int) -> Prepared:
        """Answer with a file of the folder; a worker thread reads it."""
        prepared = self.www.prepare(request, request_path)
        if prepared.response.status == _NOT_FOUND:
            self.note_missing(request, now)
        return prepared

    def take(self, report: PageReport, now: int) -> Prepared:
        """Remember what a page reports, if there is such a page; a worker thread looks."""
        path = parse_request_path(quote(file_of(report.page)))
        root = self.www.root
        if root is not None and path is not None and root.joinpath(*path.names).is_file():
            self.errors.add(report.page, report.text, report.where, now)
        return Prepared(Response(204))

    def note_load(self, request: Request, now: int) -> None:
        """Remember that a browser loads a page by itself, and not in another page."""
        if wants_page(request) and request.headers.get("sec-fetch-dest", "document") == "document":
            load = PageLoad(request.address, request.program, now)
            self.loads.add(request.path.removeprefix("/"), load)

    def note_missing(self, request: Request, now: int) -> None:
        """Remember with a page that it asks for a file that is not there."""
        if request.page.startswith(PAGES_PREFIX) and not wants_page(request):
            path = request.path.removeprefix("/")
            self.errors.add(request.page, f"There is no {path}, which it asks for", "", now)
