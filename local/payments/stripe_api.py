"""Stripe's API, version 1: how a call is answered. The routes are in the modules beside.

Parameters and answers follow Stripe's public description. What it does not name is refused, as
Stripe refuses it; what Stripe knows and nobody needs here is unknown too.
"""

from collections.abc import Callable
from typing import Any

from local.payments.forms import (
    Params,
    check,
    integer,
    invalid,
    listed,
    text,
)
from local.payments.state import Object, public
from local.payments.stripe_account import StripeAccount

# Where an object's field holds the id of another object, by the field's name.
EXPANDABLE = {
    "balance_transaction": "balance_transaction",
    "charge": "charge",
    "customer": "customer",
    "latest_charge": "charge",
    "payment_intent": "payment_intent",
    "payment_method": "payment_method",
    "setup_intent": "setup_intent",
    "source": "source",
}
EXPAND = {"expand": listed(text)}
_RANGE = {"gt": integer, "gte": integer, "lt": integer, "lte": integer}
PAGE = {
    "limit": integer,
    "starting_after": text,
    "ending_before": text,
    "created": lambda value, where: (
        check(value, _RANGE, where)
        if isinstance(value, dict)
        else dict.fromkeys(("gte", "lte"), integer(value, where))
    ),
    **EXPAND,
}
Handler = Callable[["StripeApi", Params, list[str]], Any]
ROUTES: list[tuple[str, str, Handler]] = []


def route(method: str, path: str) -> Callable[[Handler], Handler]:
    """Have a function answer `path`, whose parts `*` are its ids."""

    def register(handler: Handler) -> Handler:
        ROUTES.append((method, path, handler))
        return handler

    return register


def serve_objects(path: str, kind: str, *fields: str, param: str = "id") -> None:
    """Answer a list of the objects of a kind, which any of the fields filter, and each by its id,
    which errors name as `param`."""

    @route("GET", path)
    def list_objects(api: "StripeApi", params: Params, _ids: list[str]) -> Object:
        return api.page(kind, params, *fields)

    @route("GET", f"{path}/*")
    def retrieve_object(api: "StripeApi", params: Params, ids: list[str]) -> Object:
        check(params, EXPAND)
        return api.account.find(kind, ids[0], param)


class StripeApi:
    """Answers the calls of an account."""

    def __init__(self, account: StripeAccount) -> None:
        self.account = account
        self.state = account.state

    def answer(self, method: str, path: str, params: Params) -> Object:
        """The answer's JSON. Raises Refused."""
        self.expire_sessions()
        wanted = path.strip("/").split("/")
        for known, pattern, handler in ROUTES:
            parts = pattern.strip("/").split("/")
            if known == method and _matches(parts, wanted):
                ids = [of for part, of in zip(parts, wanted, strict=True) if part == "*"]
                shown = handler(self, params, ids)
                return self._expand(public(shown), params.get("expand", []))
        raise invalid(f"Unrecognized request URL ({method}: {path}).")

    def expire_sessions(self) -> None:
        now = self.state.now()
        for one in self.state.of_kind("checkout.session"):
            if one["status"] == "open" and one["expires_at"] <= now:
                self.expire(one)

    def expire(self, session: Object) -> None:
        session.update(status="expired", url=None)
        self.account.emit("checkout.session.expired", session)

    def _expand(self, shown: Object, paths: list[str]) -> Object:
        for path in paths:
            self._expand_one(shown, path.split("."), path)
        return shown

    def _expand_one(self, shown: Any, parts: list[str], path: str) -> None:
        first, *rest = parts
        if isinstance(shown, list):
            for one in shown:
                self._expand_one(one, parts, path)
            return
        if not isinstance(shown, dict) or (first not in shown and "object" in shown):
            raise invalid(f"This property cannot be expanded ({path}).", "expand")
        inner = shown[first]
        if isinstance(inner, str):
            if first not in EXPANDABLE or inner not in self.state.objects:
                raise invalid(f"This property cannot be expanded ({path}).", "expand")
            inner = shown[first] = public(self.state.objects[inner])
        if rest and inner is not None:
            self._expand_one(inner, rest, path)

    def page(self, kind: str, params: Params, *fields: str) -> Object:
        """A page of a list, newest first, of the objects whose fields are as the parameters say."""
        given = check(params, {**PAGE, **dict.fromkeys(fields, text)})
        filters = {name: given[name] for name in fields if name in given}
        found = [
            one
            for one in reversed(self.state.of_kind(kind))
            if all(one.get(name) == of for name, of in filters.items())
            and within(one["created"], given.get("created", {}))
        ]
        return page_of(found, given, {"charge": "charges"}.get(kind, kind))


def _matches(parts: list[str], wanted: list[str]) -> bool:
    return len(parts) == len(wanted) and all(
        part in ("*", of) for part, of in zip(parts, wanted, strict=True)
    )


def within(created: int, bounds: dict[str, int]) -> bool:
    tests: dict[str, Callable[[int], bool]] = {
        "gt": lambda bound: created > bound,
        "gte": lambda bound: created >= bound,
        "lt": lambda bound: created < bound,
        "lte": lambda bound: created <= bound,
    }
    return all(tests[name](bound) for name, bound in bounds.items())


def page_of(found: list[Object], given: Params, kind: str) -> Object:
    limit = given.get("limit", 10)
    if not 1 <= limit <= 100:
        raise invalid("Invalid limit: it must be from 1 to 100", "limit")
    ids = [one["id"] for one in found]
    for name in ("starting_after", "ending_before"):
        if name in given and given[name] not in ids:
            raise invalid(f"No such object: '{given[name]}'", name, "resource_missing")
    if "starting_after" in given:
        found = found[ids.index(given["starting_after"]) + 1 :]
    if "ending_before" in given:
        found = found[: ids.index(given["ending_before"])]
        data = found[-limit:]
    else:
        data = found[:limit]
    return {
        "object": "list",
        "url": f"/v1/{kind.replace('checkout.session', 'checkout/session').rstrip('s')}s",
        "has_more": len(found) > limit,
        "data": data,
    }


def read(params: Params, schema: dict[str, Any]) -> Params:
    given = check(params, schema)
    given.pop("expand", None)
    return given


def apply(found: Object, given: Params) -> None:
    for name, of in given.items():
        if name == "metadata":
            merged = {**found["metadata"], **of} if of else {}
            found["metadata"] = {key: value for key, value in merged.items() if value != ""}
        elif isinstance(of, dict) and isinstance(found.get(name), dict):
            found[name].update(of)
        else:
            found[name] = of
