"""Values of one tenant at a time: this container's memory (L1), Redis (L2), then the source.

A value that began to be loaded before an invalidation is never stored after it; what decides about
money reads none of this. Losing Redis costs speed, and nothing else.
"""

from synaxis_billing.cache.keys import PLATFORM, Family, Key
from synaxis_billing.cache.l2 import L2, Unreachable
from synaxis_billing.cache.two_level import Cache, Loaded

__all__ = ["L2", "PLATFORM", "Cache", "Family", "Key", "Loaded", "Unreachable"]
