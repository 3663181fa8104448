"""Online migrations for tests, and a clock for their runs."""

INDEX = """-- Finds holds by their user.
CREATE INDEX CONCURRENTLY IF NOT EXISTS holds_by_user ON billing.holds (organization_id, end_user);
"""
BACKFILL = """ALTER TABLE billing.organizations ADD COLUMN IF NOT EXISTS remark text;

-- until done
UPDATE billing.organizations SET remark = 'none' WHERE id IN (
    SELECT id FROM billing.organizations WHERE remark IS NULL ORDER BY id LIMIT 3);
"""


class Clock:
    """Time that passes in pauses alone."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
