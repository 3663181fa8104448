"""The libraries of the functions, which a container has when it is forked.

When imported, none of them looks at what the template declares: each function has its own
environment.
"""

# ruff: noqa: F401

import msgspec
import psycopg
import pydantic.main
import pydantic.types
import redis

from local import worker
