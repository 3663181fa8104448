"""The export and the erasure of the examples."""

from typing import Any

from local.openapi import story

# The answer of each operation, and its request.
OPERATIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "exportPersonalData": (
        {
            "items": [
                {
                    "kind": "organization",
                    "created_at": story.ORGANIZATION["created_at"],
                    "data": story.ORGANIZATION,
                }
            ],
            "next_cursor": None,
        },
    ),
    "erasePersonalData": (
        {
            "organization_id": story.ORGANIZATION_ID,
            "transactions": 12,
            "holds": 3,
            "profile": False,
            "next_cursor": None,
        },
        {"reason": "Request of 2 March", "initiated_by": "anna@acme.example"},
    ),
}
