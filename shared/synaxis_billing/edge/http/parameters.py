"""The parameters that lists and sums have in common."""

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query

from synaxis_billing.fields import Instant
from synaxis_billing.pages import LARGEST_LIMIT

From = Annotated[Instant | None, Query(alias="from")]
To = Annotated[Instant | None, Query(alias="to")]
Limit = Annotated[int, Query(ge=1, le=LARGEST_LIMIT)]
Cursor = Annotated[str | None, Query()]
