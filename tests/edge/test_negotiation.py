"""The form of an answer is the one that the request prefers (RFC 9110, section 12.5.1)."""

import pytest

from synaxis_billing.edge.http.negotiation import preferred

JSON, PDF, CSV = "application/json", "application/pdf", "text/csv"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", JSON),
        ("*/*", JSON),
        (PDF, PDF),
        ("Application/PDF", PDF),
        ("application/pdf, */*", JSON),
        ("application/pdf, */*;q=0.1", PDF),
        ("application/json;q=0.5, application/pdf", PDF),
        ("application/pdf;q=0.4, text/csv; q=0.6", CSV),
        ("application/pdf;q=0", JSON),
        ("application/pdf;q=0, application/*;q=0.5", JSON),
        ("application/json;q=0, application/*", PDF),
        ("text/*", CSV),
        ("text/html", JSON),
        ("application/pdf;q=nan, text/csv;q=0.1", CSV),
        ("application/pdf;q=much", JSON),
        ("application/pdf;version=1;q=0.9, text/csv;q=0.8", PDF),
        (",;,;q=1", JSON),
    ],
)
def test_the_preferred_form_is_sent(accept: str, form: str) -> None:
    assert preferred(accept, (JSON, PDF, CSV)) == form
