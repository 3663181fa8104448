"""The libraries of the functions, which a container has when it is forked.

None of them looks at the environment when it is imported: each function has its own.
"""

# ruff: noqa: F401

import asyncio

import msgspec
import psycopg.rows
import psycopg.types.json
import pydantic.functional_validators
import pydantic.main
import pydantic.types
import redis

from local import worker
