"""The parameters that routes take from the path, the query and the headers."""

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, TypeAdapter

from synaxis_billing.fields import Instant, InstantOrDay, Key
from synaxis_billing.paging import DEFAULT_LIMIT, LARGEST_LIMIT


class Query(NamedTuple):
    """Marks a parameter of the query; `name` is its name where it is not the argument's."""

    name: str = ""


class Header(NamedTuple):
    """Marks a parameter that is the header `name`, in lower case."""

    name: str


def _number(text: object) -> object:
    # int() would also take 1_0, spaces and the digits of other scripts.
    if isinstance(text, str) and not (text.isascii() and text.isdigit()):
        raise ValueError("must be a whole number")
    return text


_KEY = "The same for each try of one request: a retry with it gets the first answer again."

# Base64url: that of another list is refused where it is read.
CursorText = Annotated[str, StringConstraints(max_length=512)]

IdempotencyKey = Annotated[Key, Header("idempotency-key"), Field(description=_KEY)]
OptionalIdempotencyKey = Annotated[Key | None, Header("idempotency-key"), Field(description=_KEY)]
Accept = Annotated[str, Header("accept")]
_FORMATS = {"application/json": "json", "application/pdf": "pdf", "text/csv": "csv"}


def format_parameter(media_types: tuple[str, ...]) -> TypeAdapter[str]:
    """Return the type of the query's `format`, which names one of the media types."""
    named = {_FORMATS[media_type]: media_type for media_type in media_types}
    form: Any = Annotated[
        Literal[tuple(named)],
        AfterValidator(named.__getitem__),
        Field(description="Form of the answer, in place of the header Accept."),
    ]
    return TypeAdapter(form)


_DAY = "an instant, or a day, which begins in the time zone of the organization."
From = Annotated[
    InstantOrDay | None,
    Query("from"),
    Field(description=f"Start of the period (inclusive): {_DAY}"),
]
To = Annotated[
    InstantOrDay | None, Query("to"), Field(description=f"End of the period (exclusive): {_DAY}")
]
# Of all organizations, whose days begin at different instants.
FromInstant = Annotated[
    Instant | None, Query("from"), Field(description="Start of the period (inclusive).")
]
ToInstant = Annotated[
    Instant | None, Query("to"), Field(description="End of the period (exclusive).")
]
Limit = Annotated[
    int,
    Field(
        ge=1,
        le=LARGEST_LIMIT,
        description=f"The most items of one page; {DEFAULT_LIMIT} if it is left out.",
    ),
    BeforeValidator(_number),
    Query(),
]
Cursor = Annotated[
    CursorText | None,
    Query(),
    Field(description="`next_cursor` or `previous_cursor` of a page; none for the first page."),
]
