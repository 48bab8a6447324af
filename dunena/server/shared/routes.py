"""The HTTP requests of a server with a log: those that may change something wait for it."""

from dunena.dialects.errors import ClientError
from dunena.server.http.message import (
    GET_WRITES_PREFIX,
    AnswerRequest,
    HeldInState,
    Parking,
    Request,
    Response,
)
from dunena.server.registry import GrantLookup
from dunena.server.route_table import ROUTES
from dunena.server.routes import Routes
from dunena.server.shared.coordinator import Coordinator
from dunena.server.shared.kinds import is_certain_status, is_conditional_request
from dunena.server.shared.parked import ParkedRequest, PlanResult

_REQUEST_BYTES = 1000
"""What a request takes besides its body."""

_ERROR_MIN = 400


class SharedRoutes(Routes):
    """Answers requests that only read at once, and parks the others; `attach` comes first."""

    def attach(self, coordinator: Coordinator, planning: Routes) -> None:
        """Park requests at a coordinator; ``planning`` carries them out on the planned store."""
        self._coordinator = coordinator
        self._parking = HttpParking(coordinator, self, planning)
        self._changing_exactly: dict[str, set[str]] = {}
        self._changing_below: dict[str, set[str]] = {GET_WRITES_PREFIX: {"GET"}}
        for route in ROUTES:
            if route.may_change:
                prefix, brace, _ = route.path.partition("{")
                paths = self._changing_below if brace else self._changing_exactly
                paths.setdefault(prefix, set()).add(route.method)

    def respond(self, request: Request, now: int) -> Response:
        """Answer a request, or let it wait for the log."""
        if request.refusal is not None:
            return request.refusal
        if not self._coordinator.is_loaded and not _is_for_probes(request):
            return self.readable(request, not_loaded(self._coordinator))
        if not self._may_change(request):
            return super().respond(request, now)
        # Once, as a wrong token counts; that of a GET write is looked at when it is planned.
        if not (request.is_admitted or request.path.startswith(GET_WRITES_PREFIX)):
            refusal = self._refusal(self._find(request.path), request)
            if refusal is not None:
                return refusal
            request.is_admitted = True
        return Response(200, follows=self._parking.place)

    def refusal_of_upgrade(self) -> Response | None:
        """Return that nothing is loaded yet; None if all is."""
        return None if self._coordinator.is_loaded else not_loaded(self._coordinator)

    def carry_out(self, request: Request, now: int) -> Response:
        """Answer a request that waited."""
        return super().respond(request, now)

    def refuse(self, request: Request, error: ClientError) -> Response:
        """Make the response of a request whose change was not stored."""
        route = self._find(request.path)
        response = Response.refusal(error, has_fields=route is None or not route.is_original)
        if route is not None and route.is_live:
            response.headers["Cache-Control"] = "no-store"
        return self._readable(route, request, response)

    def _may_change(self, request: Request) -> bool:
        path, method = request.path, request.method
        if path == "/cache" and b"mset" not in request.body:
            return False  # it reads
        methods = self._changing_exactly.get(path)
        if methods is None:
            for prefix, below in self._changing_below.items():
                if path.startswith(prefix):
                    return method in below
        return methods is not None and method in methods


class HttpParking:
    """Holds HTTP requests until the log has stored what they change."""

    def __init__(self, coordinator: Coordinator, routes: SharedRoutes, planning: Routes) -> None:
        self.coordinator = coordinator
        self.routes = routes
        self.planning = planning
        self.place = Parking(self.hold)

    def hold(self, request: Request, answer: AnswerRequest) -> HeldInState:
        """Hold a request until it is answered."""
        return HttpRequest(self, request, answer)


class HttpRequest(ParkedRequest):
    """An HTTP request that waits for the log."""

    def __init__(self, parking: HttpParking, request: Request, answer: AnswerRequest) -> None:
        self._parking = parking
        self._request = request
        self._answer = answer
        self._is_gone = False
        self._refusal: Response | None = None
        self.size = _REQUEST_BYTES + len(request.body)
        self.is_conditional = is_conditional_request(request)
        self.tries = 0

    # --- the connection ---

    def start(self) -> None:
        """Park it, or refuse it if too much waits."""
        coordinator = self._parking.coordinator
        if coordinator.requests.has_room:
            coordinator.park(self)
        else:
            busy = Response.error(503, "Too many requests are under way", {"Retry-After": "1"})
            self._answer(self._request, busy)

    def cancel(self) -> None:
        """Answer nothing: the change is made all the same."""
        self._is_gone = True
        self._answer = _answer_nothing

    def end_early(self, *, closes: bool = False) -> None:
        """Go on to wait; with ``closes`` the connection ends after the answer."""
        if closes:
            self._request.is_keep_alive = False

    def update_grant(self, current_grant: GrantLookup) -> None:
        """Do nothing: the request was admitted before."""

    # --- the coordinator ---

    @property
    def is_gone(self) -> bool:
        """Whether its connection is lost."""
        return self._is_gone

    def plan(self, now: int) -> PlanResult:
        """Carry it out on the planned store."""
        response = self._parking.planning.respond(self._request, now)
        if response.status < _ERROR_MIN:
            return PlanResult.DONE
        if not is_certain_status(response.status, is_conditional=self.is_conditional):
            return PlanResult.REFUSED
        if self._request.path.startswith(GET_WRITES_PREFIX):
            self._refusal = response  # a wrong secret counts once
        return PlanResult.WRONG

    def replay(self, now: int) -> None:
        """Carry it out, and answer it."""
        response = self._refusal or self._parking.routes.carry_out(self._request, now)
        self._answer(self._request, response)

    def refuse(self, error: ClientError, now: int) -> None:
        """Answer it with an error."""
        self._answer(self._request, self._parking.routes.refuse(self._request, error))

    def fail(self) -> None:
        """Answer that there is a bug."""
        self._answer(self._request, Response.error(500, "Internal error"))

    def settled(self) -> None:
        """Let nothing answer it again."""
        self._answer = _answer_nothing


def not_loaded(coordinator: Coordinator) -> Response:
    """Make the answer to all requests before everything is loaded."""
    reason = coordinator.log.status.reason
    text = "The store is being loaded" if reason is None else f"The store is not loaded: {reason}"
    return Response.error(503, text, {"Retry-After": "1"})


def _is_for_probes(request: Request) -> bool:
    return request.path == "/health" or request.path.startswith("/health/")


def _answer_nothing(_request: Request, _response: Response | None) -> None:
    """Stand in for the connection of a request that was answered, or is lost."""
