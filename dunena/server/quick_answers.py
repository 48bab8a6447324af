"""Answers to the requests of HTTP that are asked most: one value, read or written.

Theory of operation. The routes answer any request. These answer the same, byte for byte but for the
order of the headers, where nothing has to be decided that was not decided before: the header block
was sent before (`dunena.server.http.known_heads`) and admitted, and the target has no query and no
escape. So what is done anew for each request is what depends on its key and its body. For
everything else, also for a body that is wrong, there is no quick answer, and the routes are asked;
nothing has changed then.
"""

from typing import Final

from dunena.dialects import object_store
from dunena.dialects.messages import NULL, value_body
from dunena.dialects.services import Services, check_value_size, end_of, unicode_name
from dunena.dialects.views import Views
from dunena.server.access.admission import Admission
from dunena.server.http.admitted_head import AdmissionState, AdmittedHead
from dunena.server.http.message import JSON, Request, opening
from dunena.server.http_date import HttpDate
from dunena.store.entry import Entry
from dunena.store.values import InvalidJsonError, JsonValue, decode, encode, without_mark

ANSWERS_MAX: Final = 2048
"""Answers that are kept of each kind: with the next limit, at most two megabytes."""

ANSWER_BYTES_MAX: Final = 1024

_NONE: Final = 0
_GET: Final = 1  # GET /get/{key}
_READ: Final = 2  # GET /kv/{key}
_SET: Final = 3  # POST /set
_PUT: Final = 4  # PUT /kv/{key}

_NO_STORE: Final = b"Cache-Control: no-store\r\n"


class _Answers:
    """The ends of answers by the entry that they show, from the Content-Length on.

    An entry never changes: a write puts another one in its place.
    """

    __slots__ = ("by_entry",)

    def __init__(self) -> None:
        self.by_entry: dict[Entry, bytes] = {}

    def remember(self, entry: Entry, answer: bytes) -> None:
        """Keep the answer of an entry, unless it is long."""
        if len(answer) <= ANSWER_BYTES_MAX:
            if len(self.by_entry) >= ANSWERS_MAX:
                self.by_entry.clear()  # who reads so many keys does not profit
            self.by_entry[entry] = answer


class QuickAnswers:
    """Answers requests to one server whose values are its own."""

    __slots__ = ("_admission", "_date", "_kv_answers", "_state", "_value_answers", "_views")

    def __init__(self, views: Views, admission: Admission, date: HttpDate) -> None:
        self._views = views
        self._admission = admission
        self._state: AdmissionState = admission.state
        self._date = date
        self._value_answers = _Answers()
        self._kv_answers = _Answers()

    def wants_body(self, request: Request) -> bool:
        """Admit a request by its head if that can be done quickly; return whether it was."""
        admitted = self._admitted(request) if _kind_of(request) in (_SET, _PUT) else None
        if admitted is None:
            return False
        request.grant = admitted.grant
        request.is_admitted = True
        return True

    def respond(self, request: Request, now: int) -> bytes | None:
        """Return the answer to a request; None if there is no quick one. ``now`` is Unix ms.

        Raise `ClientError`, and `WriteRefusedError` if a change cannot be stored.
        """
        kind = _kind_of(request)
        if kind == _NONE:
            return None
        admitted = self._admitted(request)
        if admitted is None:
            return None
        services = admitted.services
        if services is None:
            services = admitted.services = self._views.of(admitted.grant)
        if self._date.look() != admitted.second:
            self._begin(admitted)
        request.grant = admitted.grant
        if kind == _GET:
            return self._get(services, admitted, request.target[5:], now)
        if kind == _READ:
            return self._read(services, admitted, request.target[4:], now)
        if kind == _SET:
            return self._set(services, admitted, request.body, now)
        return self._put(services, admitted, request.target[4:], request.body, now)

    # --- inside ---

    def _admitted(self, request: Request) -> AdmittedHead | None:
        """Return the decision to admit a request; None if it is to be made anew, or refused."""
        head = request.head
        if head is None or not head.is_simple or request.refusal is not None:
            return None
        admitted = head.admitted
        if (
            admitted is None
            or admitted.number != self._state.number
            or admitted.is_shared != request.is_shared
        ):
            return None
        # An address that guesses is slowed down even with a right token.
        if (
            admitted.has_token
            and not request.is_admitted
            and self._admission.is_slowed(request.address)
        ):
            return None
        return admitted

    def _begin(self, admitted: AdmittedHead) -> None:
        """Make the beginnings of this second's answers."""
        date = f"Date: {self._date.text()}\r\n".encode("latin-1")
        rest = date + admitted.cors
        value = opening(200, JSON).encode("latin-1") + rest
        admitted.begin_get = value
        admitted.begin_kv = value + _NO_STORE
        admitted.begin_created = opening(201, "").encode("latin-1") + rest + _NO_STORE
        admitted.begin_replaced = opening(204, "").encode("latin-1") + rest + _NO_STORE
        admitted.second = self._date.second

    def _get(self, services: Services, admitted: AdmittedHead, key: str, now: int) -> bytes | None:
        """Answer ``GET /get/{key}`` as `dunena.dialects.http_api.get_object` does."""
        if not key:
            return None
        entry = services.store.get("", unicode_name(key, "Key"), now)
        if entry is None:
            return admitted.begin_get + _ended(value_body("", key, NULL))
        answer = self._value_answers.by_entry.get(entry)
        if answer is None:
            answer = _ended(value_body("", key, entry.value))
            self._value_answers.remember(entry, answer)
        return admitted.begin_get + answer

    def _read(self, services: Services, admitted: AdmittedHead, key: str, now: int) -> bytes:
        """Answer ``GET /kv/{key}`` as `dunena.dialects.kv_reading.read` does."""
        key = unicode_name(key, "Key")
        entry = services.store.get("", key, now)
        if entry is None:
            from dunena.dialects.kv_request import MissingKeyError  # a start does not need it

            raise MissingKeyError(key)
        answer = self._kv_answers.by_entry.get(entry)
        if answer is None:
            value = entry.value
            tag = f'"{services.unrestricted_store.epoch}-{entry.revision}"'.encode("latin-1")
            answer = b"Content-Length: %d\r\nETag: %b\r\n\r\n%b" % (len(value), tag, value)
            self._kv_answers.remember(entry, answer)
        return admitted.begin_kv + answer

    def _set(
        self, services: Services, admitted: AdmittedHead, body: bytes, now: int
    ) -> bytes | None:
        """Answer ``POST /set`` as `dunena.dialects.http_api.set_object` does."""
        message: JsonValue
        try:
            message = decode(without_mark(body))
        except InvalidJsonError:
            return None
        if not isinstance(message, dict) or len(message) != 2 or "value" not in message:
            return None
        if not message.get("key"):
            return None
        return admitted.begin_get + _ended(object_store.write(services, message, now))

    def _put(
        self, services: Services, admitted: AdmittedHead, key: str, body: bytes, now: int
    ) -> bytes | None:
        """Answer ``PUT /kv/{key}`` as `dunena.dialects.kv_writing.put` does."""
        store = services.unrestricted_store
        if services.store is not store or store.quota is not None:
            return None
        value: JsonValue
        try:
            value = decode(without_mark(body))
        except InvalidJsonError:
            return None
        key = unicode_name(key, "Key")
        encoded = encode(value)
        replaced = store.peek("", key, now)
        check_value_size(encoded, services.limits)
        expires_at = end_of(services.default_ttl_ms, now)
        revision = store.set("", key, encoded, expires_at).revision
        tag = f'ETag: "{store.epoch}-{revision}"\r\n\r\n'.encode("latin-1")
        if replaced is None:
            return admitted.begin_created + b"Content-Length: 0\r\n" + tag
        return admitted.begin_replaced + tag


def _kind_of(request: Request) -> int:
    """Return which of the requests it is that have quick answers."""
    method, target = request.method, request.target
    if method == "GET":
        kind = _GET if target.startswith("/get/") else _READ if target.startswith("/kv/") else _NONE
    elif method == "POST":
        return _SET if target == "/set" and request.has_body else _NONE
    elif method == "PUT" and request.has_body:
        kind = _PUT if target.startswith("/kv/") else _NONE
    else:
        return _NONE
    return _NONE if "?" in target or "%" in target else kind


def _ended(body: bytes) -> bytes:
    """Return the end of an answer with a body."""
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
