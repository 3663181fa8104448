"""A cache of values per tenant: this container's memory (L1), then Redis (L2), then the source.

A value whose load began before an invalidation is never stored after it. Nothing that decides about
money reads the cache. Losing Redis costs speed and nothing else.
"""

from synaxis_billing.cache.keys import PLATFORM, Family, Key
from synaxis_billing.cache.l2 import L2, Unreachable
from synaxis_billing.cache.two_level import Cache, Loaded

__all__ = ["L2", "PLATFORM", "Cache", "Family", "Key", "Loaded", "Unreachable"]
