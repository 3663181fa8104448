"""The parameters of Stripe's API: form-encoded, nested by brackets, checked by name and type."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

Params = dict[str, Any]


class Refused(Exception):
    """An answer in Stripe's shape: an HTTP status and the fields of `error`."""

    def __init__(self, status: int, **error: Any) -> None:
        super().__init__(error.get("message"))
        self.status = status
        self.error = error


def invalid(message: str, param: str | None = None, code: str | None = None) -> Refused:
    error = {"type": "invalid_request_error", "message": message, "param": param, "code": code}
    return Refused(400, **{name: of for name, of in error.items() if of is not None})


def parse(encoded: str) -> Params:
    """`a[b]=1&c[]=2&d[0][e]=3` as {"a": {"b": "1"}, "c": ["2"], "d": [{"e": "3"}]}."""
    found: Params = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True):
        first, *rest = name.replace("]", "").split("[")
        inner: Any = found
        for part, following in zip([first, *rest], [*rest, None], strict=True):
            key = part or str(len(inner))
            if following is None:
                inner[key] = value
            else:
                inner = inner.setdefault(key, {})
                if not isinstance(inner, dict):
                    raise invalid(f"Invalid parameters: {name}", name)
    return {name: _lists(of) for name, of in found.items()}


def _lists(parsed: Any) -> Any:
    if not isinstance(parsed, dict):
        return parsed
    inner = {name: _lists(of) for name, of in parsed.items()}
    return list(inner.values()) if inner and all(name.isdigit() for name in inner) else inner


def text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise invalid(f"Invalid string: {value}", where)
    return value


def integer(value: Any, where: str) -> int:
    try:
        return int(text(value, where))
    except ValueError:
        raise invalid(f"Invalid integer: {value}", where, "parameter_invalid_integer") from None


def boolean(value: Any, where: str) -> bool:
    if value not in ("true", "false"):
        raise invalid(f"Invalid boolean: {value}", where)
    return bool(value == "true")


def currency(value: Any, where: str) -> str:
    if not (isinstance(value, str) and len(value) == 3 and value.isalpha()):
        raise invalid(f"Invalid currency: {value}.", where)
    return value.lower()


def anything(value: Any, _where: str) -> Any:
    return value


def metadata(value: Any, where: str) -> dict[str, str]:
    if value == "":
        return {}
    if not isinstance(value, dict):
        raise invalid("Invalid hash", where)
    if len(value) > 50 or any(len(name) > 40 or len(str(of)) > 500 for name, of in value.items()):
        raise invalid("Metadata has up to 50 keys of 40 characters, and values of 500.", where)
    return {name: text(of, f"{where}[{name}]") for name, of in value.items()}


def listed(schema: "Schema") -> Callable[[Any, str], list[Any]]:
    def check(value: Any, where: str) -> list[Any]:
        if not isinstance(value, list):
            raise invalid("Invalid array", where)
        return [_checked(one, schema, f"{where}[{at}]") for at, one in enumerate(value)]

    return check


# A name that ends with `!` is required.
Schema = Mapping[str, Any] | Callable[[Any, str], Any]


def check(params: Params, schema: Mapping[str, Any], where: str = "") -> Params:
    """The parameters with their types. Raises Refused for one that is unknown, missing or bad, as
    Stripe does."""
    known = {name.removesuffix("!"): of for name, of in schema.items()}
    for name in params:
        if name not in known:
            place = f"{where}[{name}]" if where else name
            raise invalid(f"Received unknown parameter: {place}", place, "parameter_unknown")
    for name in schema:
        if name.endswith("!") and params.get(name[:-1], "") == "":
            place = f"{where}[{name[:-1]}]" if where else name[:-1]
            raise invalid(f"Missing required param: {place}.", place, "parameter_missing")
    return {
        name: _checked(of, known[name], f"{where}[{name}]" if where else name)
        for name, of in params.items()
    }


def _checked(value: Any, schema: Schema, where: str) -> Any:
    if callable(schema):
        return schema(value, where)
    if not isinstance(value, dict):
        raise invalid("Invalid object", where)
    return check(value, schema, where)
