"""An environment of samconfig.toml: the stack that `make deploy` and `make rollback` change."""

import shlex
import tomllib
from pathlib import Path
from typing import NamedTuple

import boto3


class Target(NamedTuple):
    """`overrides` are the template's parameters."""

    stack: str
    overrides: dict[str, str]
    region: str | None
    profile: str | None

    def session(self) -> boto3.Session:
        return boto3.Session(region_name=self.region, profile_name=self.profile)

    def resources(self, kind: str) -> dict[str, str]:
        """Return the names of the stack's resources of a kind, such as AWS::Lambda::Function, by
        their logical ids."""
        # DescribeStackResources would stop after 100 of all kinds.
        pages = self.session().client("cloudformation").get_paginator("list_stack_resources")
        return {
            one["LogicalResourceId"]: one["PhysicalResourceId"]
            for page in pages.paginate(StackName=self.stack)
            for one in page["StackResourceSummaries"]
            if one["ResourceType"] == kind
        }


def read_target(config: Path, environment: str) -> Target:
    """Return an environment of a samconfig.toml. Raises SystemExit."""
    configured = tomllib.loads(config.read_text())
    if environment not in configured:
        known = ", ".join(name for name, of in configured.items() if isinstance(of, dict))
        raise SystemExit(f"{config.name} has no environment {environment!r}, but {known}.")
    commands = configured[environment]
    of = {
        **commands.get("global", {}).get("parameters", {}),
        **commands.get("deploy", {}).get("parameters", {}),
    }
    overrides = of.get("parameter_overrides", "")
    # SAM takes a list of them too.
    words = shlex.split(overrides) if isinstance(overrides, str) else overrides
    return Target(
        of["stack_name"],
        dict(word.split("=", 1) for word in words),
        of.get("region"),
        of.get("profile"),
    )
