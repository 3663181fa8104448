"""A call's own facts are kept up to the last member and byte that is promised."""

import pytest
from pydantic import ValidationError

from synaxis_billing.usage.dimensions import MOST_METADATA, MOST_METADATA_BYTES, Usage


def test_metadata_is_kept_up_to_its_limits() -> None:
    half = "x" * (MOST_METADATA_BYTES // 2 - 1)
    largest = {"a": half, "b": half}
    assert Usage(metadata=largest).metadata == largest
    many = {str(number): "x" for number in range(MOST_METADATA)}
    assert Usage(metadata=many).metadata == many
    for too_much in ({"a": half, "bb": half}, {**many, "one more": "x"}):
        with pytest.raises(ValidationError, match="must have at most"):
            Usage(metadata=too_much)
