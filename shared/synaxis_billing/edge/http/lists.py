"""A list in the form that the request accepts: JSON or CSV."""

from collections.abc import Sequence

from pydantic import BaseModel

from synaxis_billing.edge.http.answers import File, Reply
from synaxis_billing.edge.http.negotiation import preferred
from synaxis_billing.tables import table_of

JSON, CSV = "application/json", "text/csv"


def represent_list[Body: BaseModel, Item: BaseModel](
    accept: str, body: Body, items: Sequence[Item], item: type[Item], name: str
) -> Reply[Body]:
    """Return the form that `accept` prefers; JSON if it names none. The CSV has one column per
    field of an item; the header Link leads to the next page of both."""
    if preferred(accept, (JSON, CSV)) == JSON:
        return Reply(body)
    rows = table_of(item, items)
    return Reply(body, file=File(rows, f"{CSV}; charset=utf-8", f"{name}.csv"))
