"""What a request prefers, by the weights of its Accept headers (RFC 9110, section 12.4.2)."""

from collections.abc import Sequence


def preferred(accept: str, offers: Sequence[str]) -> str:
    """Return the media type to which the header Accept gives the highest weight.

    Of equal ones, the first of `offers`; that one too when the header names none of them, since an
    answer that nobody asked for says more than none.
    """
    ranges = _ranges(accept)
    weights = {offer: _weight(offer, ranges) for offer in offers}
    return max(offers, key=lambda offer: weights[offer])


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether the header Accept-Encoding takes gzip, by name or by `*`."""
    weights = dict(_ranges(accept_encoding))
    return weights.get("gzip", weights.get("*", 0)) > 0


def _ranges(header: str) -> list[tuple[str, float]]:
    return [_range(item) for item in header.lower().split(",") if item.strip()]


def _range(item: str) -> tuple[str, float]:
    """Return a range and its weight, which is 0 where it cannot be read."""
    media_type, *parameters = (part.strip() for part in item.split(";"))
    weight = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                weight = 0.0
    return media_type, weight if 0 <= weight <= 1 else 0.0


def _weight(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Return the weight of the most specific range that has the offer."""
    kind = offer.partition("/")[0]
    for wanted in (offer, f"{kind}/*", "*/*"):
        found = [weight for media_type, weight in ranges if media_type == wanted]
        if found:
            return max(found)
    return 0.0
