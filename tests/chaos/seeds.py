"""The seed of a run, which decides the choices of its clients and faults."""

import os

# So many seeds are tried; `make test` tries one, and leaves out what takes longest.
RUNS = int(os.environ.get("CHAOS", "1"))
EVERYTHING = "CHAOS" in os.environ


def new_seed() -> str:
    """Choose a seed, unless CHAOS_SEED repeats one, and print it."""
    seed = os.environ.get("CHAOS_SEED") or os.urandom(4).hex()
    print(f"CHAOS_SEED={seed}")
    return seed
