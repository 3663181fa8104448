"""`make rollback`: the functions of a stack run the release before again, within seconds.

`make deploy` records the versions that served before a release, and those of the release. The
database stays migrated: a release works on the schema of the next one. A second rollback returns to
the newer release. Run by SAM's own Python.
"""

import json
import sys
from pathlib import Path
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from local.target import Target, read_target

ALIAS = "live"
# The version that serves, by the function's logical id.
Versions = dict[str, str]


class Release(NamedTuple):
    """The versions that served before a release, and those of the release."""

    before: Versions
    after: Versions


class Functions:
    """The functions of a stack."""

    def __init__(self, target: Target) -> None:
        session = target.session()
        self._lambda = session.client("lambda")
        self._parameters = session.client("ssm")
        self._record = f"/{target.stack}/release"
        self._names = target.resources("AWS::Lambda::Function")

    def serving(self) -> Versions:
        """Return the versions that serve. Raises SystemExit while traffic shifts."""
        found = {}
        for function, name in self._names.items():
            try:
                alias = self._lambda.get_alias(FunctionName=name, Name=ALIAS)
            except self._lambda.exceptions.ResourceNotFoundException:
                # A first deployment that failed left it without one.
                continue
            if alias.get("RoutingConfig", {}).get("AdditionalVersionWeights"):
                raise SystemExit(
                    f"Traffic of {function} is shifting to a new version. To take that back, run "
                    "aws deploy stop-deployment --auto-rollback-enabled --deployment-id ..."
                )
            found[function] = alias["FunctionVersion"]
        return found

    def serve(self, function: str, version: str) -> None:
        name = self._names[function]
        self._lambda.update_alias(FunctionName=name, Name=ALIAS, FunctionVersion=version)

    def record(self, release: Release) -> None:
        stored = json.dumps(release._asdict())
        self._parameters.put_parameter(
            Name=self._record, Value=stored, Type="String", Overwrite=True
        )

    def last_release(self) -> Release | None:
        """Return the last release that was recorded; None if there is none."""
        try:
            found = self._parameters.get_parameter(Name=self._record)
        except self._parameters.exceptions.ParameterNotFound:
            return None
        return Release(**json.loads(found["Parameter"]["Value"]))


def main(environment: str, config: Path) -> None:
    target = read_target(config, environment)
    try:
        functions = Functions(target)
        serving, release = functions.serving(), functions.last_release()
        if release is None:
            raise SystemExit(f"No release of {target.stack} was recorded by make deploy.")
        back = any(serving.get(name) != version for name, version in release.before.items())
        for name, version in (release.before if back else release.after).items():
            if serving.get(name, version) != version:
                functions.serve(name, version)
                print(f"{name}: version {serving[name]} -> {version}")
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"Cannot roll {target.stack} back: {error}") from None
    print(f"{target.stack} runs the {'release before' if back else 'newer release'}.")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
