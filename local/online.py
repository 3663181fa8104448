"""`make migrate ENV=prod`: the online migrations of a stack, done by its MigrateFunction.

The function works for a minute at a time, and is invoked until nothing is left. What it was doing
then goes on in the database, so this command can be interrupted and run again. Run by SAM's own
Python.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.rollback import ALIAS
from local.target import Target, read_target

FUNCTION = "MigrateFunction"
# Longer than an invocation lasts. One that is asked for twice waits for the first.
_PATIENCE = Config(read_timeout=150, tcp_keepalive=True)


def migrate(client: Any, function: str) -> Iterator[str]:
    """Invoke the function of this name until nothing is left, and yield what it does and has done,
    for people. Raises SystemExit with the reason of a failure."""
    doing, command = "", "start"
    while True:
        answer = _invoke(client, function, {"online": command})
        yield from (f"done {name}" for name in answer["done"])
        if not answer["left"]:
            return
        if answer["doing"] != doing:
            yield answer["doing"]
        doing, command = answer["doing"], "continue"


def _invoke(client: Any, function: str, event: dict[str, str]) -> dict[str, Any]:
    invoked = client.invoke(FunctionName=function, Qualifier=ALIAS, Payload=json.dumps(event))
    answer: dict[str, Any] = json.loads(invoked["Payload"].read())
    if "FunctionError" in invoked:
        raise SystemExit(f"{FUNCTION}: {answer.get('errorMessage', answer)}")
    return answer


def find(target: Target) -> str:
    """Return the name of the stack's function. Raises SystemExit where it has none."""
    functions = target.resources("AWS::Lambda::Function")
    if FUNCTION in functions:
        return functions[FUNCTION]
    raise SystemExit(
        f"{target.stack} does not administer its database (AdminDatabaseUrlSecretArn): run "
        "DATABASE_URL=postgresql://... make migrate"
    )


def main(environment: str, config: Path) -> None:
    target = read_target(config, environment)
    try:
        function = find(target)
        for line in migrate(target.session().client("lambda", config=_PATIENCE), function):
            print(line, flush=True)
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"Cannot migrate {target.stack}: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit("The database goes on with its statement. Run it again.") from None
    print(f"{target.stack} has every online migration.")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
