"""A page of a list in the form that the request accepts: JSON or CSV."""

from pydantic import BaseModel

from synaxis_billing.edge.http.answers import File, Reply
from synaxis_billing.edge.http.negotiation import preferred
from synaxis_billing.paging import Page
from synaxis_billing.tables import table_of

JSON, CSV = "application/json", "text/csv"


def represent_list[Item: BaseModel](
    accept: str, page: Page[Item], item: type[Item], name: str
) -> Reply[Page[Item]]:
    """Return the form that `accept` prefers; JSON if it names none. The CSV has one column per
    field of an item; the header Link leads to the next page of both."""
    if preferred(accept, (JSON, CSV)) == JSON:
        return Reply(page)
    return Reply(
        page, file=File(table_of(item, page.items), f"{CSV}; charset=utf-8", f"{name}.csv")
    )
