"""The stand-in's HTTP server: Stripe's and PayPal's APIs at one address, checkout pages, and below
/_standin what only a stand-in has."""

import base64
import contextlib
import hmac
import http.server
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from local.payments import (
    controls,
    forms,
    pages,
    paypal_disputes,
    paypal_orders,
    stripe_charges,
    stripe_customers,
    stripe_objects,
    stripe_payments,
    stripe_sessions,
)
from local.payments.deliveries import Certificate, Deliveries, stripe_signer
from local.payments.faults import Faults
from local.payments.paypal import PayPalApi
from local.payments.paypal_money import Problem
from local.payments.settings import Secrets
from local.payments.state import State, new_id, new_paypal_id
from local.payments.stripe_account import StripeAccount
from local.payments.stripe_api import StripeApi

CERTIFICATE = "/v1/notifications/certs/stand-in"
# Stripe forgets an idempotency key after that.
KEY_SECONDS = 24 * 3600
PAYPAL = ("/v1/oauth2/", "/v1/notifications/", "/v1/customer/", "/v2/")
PAGES = ("/c/pay/", "/authenticate/", "/checkoutnow", "/receipts/")
_JSON = "application/json"
# Their routes are there once they are imported.
ROUTES = (
    paypal_disputes,
    paypal_orders,
    stripe_charges,
    stripe_customers,
    stripe_payments,
    stripe_sessions,
)


class Request(NamedTuple):
    """A request; the names of headers are lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def call(self) -> str:
        return f"{self.method} {self.path}"

    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    def query_values(self) -> dict[str, str]:
        return dict(parse_qsl(self.query, keep_blank_values=True))


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]


def as_json(status: int, shown: Any, **headers: str) -> Answer:
    named = {name.replace("_", "-"): of for name, of in headers.items()}
    return Answer(status, json.dumps(shown).encode(), {"content-type": _JSON, **named})


class Standin:
    """Both providers. Tests set `faults` and `deliveries`; `webhooks` are the receivers' URLs."""

    def __init__(
        self,
        secrets: Secrets | None = None,
        port: int = 0,
        file: Path | None = None,
        webhooks: dict[str, str] | None = None,
    ) -> None:
        self.secrets = secrets or Secrets()
        self.webhooks = webhooks or {}
        self.state = State(file)
        self.faults = Faults()
        self.deliveries = Deliveries()
        self.server = _Server(port, self)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.certificate = Certificate(self.secrets.paypal_webhook_id, f"{self.url}{CERTIFICATE}")
        sign = stripe_signer(self.secrets.stripe_webhook_secret)

        def send_stripe(kind: str, event_id: str, body: bytes) -> None:
            if "stripe" in self.webhooks:
                self.deliveries.add(event_id, kind, self.webhooks["stripe"], body, sign)

        def send_paypal(kind: str, event_id: str, body: bytes) -> None:
            if "paypal" in self.webhooks:
                url = self.webhooks["paypal"]
                self.deliveries.add(event_id, kind, url, body, self.certificate.sign)

        self.account = StripeAccount(self.state, self.url, send_stripe)
        self.stripe = StripeApi(self.account)
        self.paypal = PayPalApi(self.state, self.url, self.certificate, send_paypal)

    @contextlib.contextmanager
    def running(self) -> Iterator["Standin"]:
        self.deliveries.start()
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield self
        finally:
            self.deliveries.stop()
            self.server.shutdown()
            self.server.server_close()

    def answer(self, request: Request) -> Answer | None:
        """The answer, or None where a fault closes the connection without one."""
        if request.path == CERTIFICATE:
            return Answer(200, self.certificate.pem, {"content-type": "application/x-pem-file"})
        if request.path == "/" or request.path.startswith(PAGES):
            with self.state.changing():
                return Answer(*pages.answer(self, request))
        if request.path.startswith("/_standin/"):
            return as_json(*controls.answer(self, request))
        fault = self.faults.draw(request.call)
        if fault == "timeout_before":
            time.sleep(self.faults.hang_seconds)
            return None
        is_paypal = request.path.startswith(PAYPAL)
        with self.state.changing():
            answered = (_paypal if is_paypal else _stripe)(self, request, fault)
        if fault == "timeout_after":
            time.sleep(self.faults.hang_seconds)
            return None
        return answered


# Stripe


def _stripe(standin: Standin, request: Request, fault: str | None) -> Answer:
    answered = _stripe_answer(standin, request, fault)
    # Clients send the version that they were written for, and learn which one answers.
    version = request.headers.get("stripe-version", stripe_objects.VERSION)
    headers = {"request-id": new_id("req_", 14), "stripe-version": version, **answered.headers}
    if "idempotency-key" in request.headers:
        headers["idempotency-key"] = request.headers["idempotency-key"]
    return answered._replace(headers=headers)


def _stripe_answer(standin: Standin, request: Request, fault: str | None) -> Answer:
    if not _stripe_key_is_right(standin, request):
        return _stripe_error(401, "invalid_request_error", "Invalid API Key provided.")
    key = request.headers.get("idempotency-key") if request.method == "POST" else None
    if fault == "rate_limit":
        return _stripe_error(429, "invalid_request_error", "Too many requests.", "rate_limit")
    if fault == "conflict" and key:
        message = "There is currently another in-progress request using this key."
        return _stripe_error(409, "invalid_request_error", message, "idempotency_key_in_use")
    if fault == "error_before":
        return _stripe_failure()
    return _stripe_once(standin, request, key, fault == "error_after")


def _stripe_once(standin: Standin, request: Request, key: str | None, fails: bool) -> Answer:
    """Execute a call, or repeat the answer that is kept for its key. With `fails`, the effect is
    there, and the answer is a 500, which is kept too."""
    kept = _kept(standin, f"stripe {key}") if key else None
    called = f"{request.call} {sorted(parse_qsl(request.body.decode(), keep_blank_values=True))}"
    if kept and kept["call"] != called:
        message = (
            "Keys for idempotent requests can only be used with the same parameters they were"
            f" first used with. Try using a key other than '{key}' if you meant to execute a"
            " different request."
        )
        return _stripe_error(400, "idempotency_error", message)
    if kept:
        return as_json(kept["status"], kept["body"], idempotent_replayed="true")
    answered, is_kept = _stripe_call(standin, request)
    if fails:
        answered, is_kept = _stripe_failure(), True
    if key and is_kept:
        _keep(standin, f"stripe {key}", called, answered)
    return answered


def _stripe_call(standin: Standin, request: Request) -> tuple[Answer, bool]:
    """The answer, and whether it is kept for the key: not where nothing was begun."""
    key = request.headers.get("idempotency-key")
    standin.account.request = {"id": new_id("req_", 14), "idempotency_key": key}
    encoded = request.query if request.method in ("GET", "DELETE") else request.body.decode()
    try:
        params = forms.parse(encoded)
        return as_json(200, standin.stripe.answer(request.method, request.path, params)), True
    except forms.Refused as refused:
        return as_json(refused.status, {"error": refused.error}), refused.status == 402
    finally:
        standin.account.request = {"id": None, "idempotency_key": None}


def _stripe_key_is_right(standin: Standin, request: Request) -> bool:
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        with contextlib.suppress(ValueError):
            given = base64.b64decode(given).decode().partition(":")[0]
    return hmac.compare_digest(given.encode(), standin.secrets.stripe_api_key.encode())


def _stripe_error(status: int, type_: str, message: str, code: str | None = None) -> Answer:
    error = {"type": type_, "message": message, **({"code": code} if code else {})}
    return as_json(status, {"error": error})


def _stripe_failure() -> Answer:
    return _stripe_error(500, "api_error", "An unknown error occurred.")


# PayPal


def _paypal(standin: Standin, request: Request, fault: str | None) -> Answer:
    if request.path == "/v1/oauth2/token":
        return _token(standin, request)
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    token = standin.state.objects.get(bearer)
    if token is None or token["_expires"] <= standin.state.now():
        detail = {"error": "invalid_token", "error_description": "Token signature verification"}
        return as_json(401, detail)
    if fault == "rate_limit":
        return _problem(Problem(429, "RATE_LIMIT_REACHED", "Too many requests. Blocked."))
    if fault == "conflict":
        issue = {"issue": "PREVIOUS_REQUEST_IN_PROGRESS", "description": "It is in progress."}
        return _problem(Problem(409, "RESOURCE_CONFLICT", "The server has a conflict.", issue))
    if fault == "error_before":
        return _paypal_failure()
    answered = _paypal_once(standin, request)
    return _paypal_failure() if fault == "error_after" else answered


def _paypal_once(standin: Standin, request: Request) -> Answer:
    key = request.headers.get("paypal-request-id") if request.method == "POST" else None
    place = f"paypal {request.path} {key}"
    kept = _kept(standin, place) if key else None
    if kept:
        return as_json(200, kept["body"])
    mocked = request.headers.get("paypal-mock-response")
    try:
        body = _paypal_body(request)
        if mocked:
            code = json.loads(mocked)["mock_application_codes"]
            raise Problem(422, "UNPROCESSABLE_ENTITY", "It was mocked.", {"issue": code})
        answered = as_json(*standin.paypal.answer(request.method, request.path, body))
    except Problem as problem:
        return _problem(problem)
    if key:
        _keep(standin, place, request.call, answered)
    return answered


def _paypal_body(request: Request) -> dict[str, Any]:
    body: Any = {}
    if request.body:
        try:
            body = json.loads(request.body)
        except ValueError as error:
            message = "Request is not well-formed, syntactically incorrect, or violates schema."
            raise Problem(400, "INVALID_REQUEST", message) from error
    return {
        **body,
        "_query": request.query_values(),
        "_raw": request.body,
        "_prefer": request.headers.get("prefer", ""),
    }


def _token(standin: Standin, request: Request) -> Answer:
    secrets = standin.secrets
    given = request.headers.get("authorization", "").removeprefix("Basic ")
    wanted = f"{secrets.paypal_client_id}:{secrets.paypal_client_secret}"
    if not hmac.compare_digest(given, base64.b64encode(wanted.encode()).decode()):
        described = "Client Authentication failed"
        return as_json(401, {"error": "invalid_client", "error_description": described})
    if request.form().get("grant_type") != "client_credentials":
        return as_json(400, {"error": "unsupported_grant_type", "error_description": "Unknown."})
    token, seconds = new_id("A21AA", 60), 32400
    # No client needs more than a few at a time.
    expires = standin.state.now() + seconds
    standin.state.add({"id": token, "_kind": "token", "_expires": expires})
    shown = {
        "scope": "https://uri.paypal.com/services/payments/payment",
        "access_token": token,
        "token_type": "Bearer",
        "app_id": "APP-STANDIN",
        "expires_in": seconds,
        "nonce": f"{new_paypal_id()}",
    }
    return as_json(200, shown)


def _problem(problem: Problem) -> Answer:
    return as_json(problem.status, problem.body, paypal_debug_id=problem.body["debug_id"])


def _paypal_failure() -> Answer:
    return _problem(Problem(500, "INTERNAL_SERVER_ERROR", "An internal server error has occurred."))


def _kept(standin: Standin, place: str) -> dict[str, Any] | None:
    kept = standin.state.replies.get(place)
    return kept if kept and kept["created"] + KEY_SECONDS > standin.state.now() else None


def _keep(standin: Standin, place: str, called: str, answered: Answer) -> None:
    standin.state.replies[place] = {
        "call": called,
        "status": answered.status,
        "body": json.loads(answered.body),
        "created": standin.state.now(),
    }


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, standin: Standin) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.standin = standin

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    # One packet for an answer, or its second half waits for an acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        where = urlsplit(self.path)
        length = int(self.headers.get("content-length") or 0)
        request = Request(
            self.command,
            where.path,
            where.query,
            {name.lower(): of for name, of in self.headers.items()},
            self.rfile.read(length),
        )
        answered = self.server.standin.answer(request)
        if answered is None:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(answered.status)
        for name, of in answered.headers.items():
            self.send_header(name, of)
        self.send_header("content-length", str(len(answered.body)))
        self.end_headers()
        self.wfile.write(answered.body)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve

    def log_message(self, *_: object) -> None:
        pass
