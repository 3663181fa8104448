"""What template.yaml declares: functions, their routes, schedules, queues and environment."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parent.parent
_DATA = ("DATABASE_URL", "REDIS_URL", "ADMIN_DATABASE_URL")


class Route(NamedTuple):
    """`key` is API Gateway's, "POST /v1/x/{x_id}"; an open one has no authorizer."""

    key: str
    open: bool


class Queue(NamedTuple):
    """A message that was received `most_receives` times without success is given up. A `fifo` one
    keeps the order of its messages."""

    name: str
    batch_size: int
    most_receives: int
    fifo: bool = False


class QueueRoute(NamedTuple):
    """A route that API Gateway serves by sending a message: its key, the scopes of which a token
    has one, and the parameters of the message, each with the expression that gives it."""

    key: str
    scopes: frozenset[str]
    parameters: dict[str, str]


class Function(NamedTuple):
    """`on_success` is the queue that gets the answers of its asynchronous invocations; `topics` are
    Kafka's."""

    name: str
    folder: Path
    handler: str
    timeout_seconds: int
    memory_mb: int
    environment: dict[str, str]
    routes: list[Route]
    schedules_seconds: tuple[int, ...] = ()
    queues: tuple[str, ...] = ()
    on_success: str | None = None
    topics: tuple[str, ...] = ()

    def load(self) -> ModuleType:
        """Return the module of the handler, under a unique name: every function calls it app."""
        path = self.folder / f"{self.handler.partition('.')[0]}.py"
        spec = importlib.util.spec_from_file_location(f"functions.{self.name}", path)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


class Template(NamedTuple):
    functions: dict[str, Function]
    queues: dict[str, Queue]
    jwt_audience: str
    kafka_brokers: str
    scopes: frozenset[str] = frozenset()
    queue_routes: tuple[QueueRoute, ...] = ()


class _Loader(yaml.CSafeLoader):
    """Loader of CloudFormation's tags: `!Ref X` becomes {"Ref": "X"}, and so every other tag."""


def _tag(loader: yaml.CSafeLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return {suffix: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {suffix: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {suffix: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _tag)


def read_document() -> dict[str, Any]:
    """Return the template, with {"Ref": "X"} for `!Ref X`."""
    document: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(), _Loader)
    return document


def read(
    parameters: dict[str, str],
    queues_url: str = "http://127.0.0.1",
    environment: dict[str, str] | None = None,
) -> Template:
    """Return the template with these parameters, the defaults of the others, and the URL below
    which its queues are. `environment` has the values that AWS would give, such as the URL of the
    database."""
    document = read_document()
    values = {name: str(of.get("Default", "")) for name, of in document["Parameters"].items()}
    for name, resource in document["Resources"].items():
        if resource["Type"] == "AWS::SQS::Queue":
            values[name] = f"{queues_url}/000000000000/{name}"
    values |= parameters
    defaults = document["Globals"]["Function"]
    functions = {
        name: _function(
            name, {**defaults, **resource["Properties"]}, defaults, values, environment or {}
        )
        for name, resource in document["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    for mapping in document["Resources"].values():
        properties = mapping["Properties"]
        if "SelfManagedEventSource" in properties:
            name = properties["FunctionName"]["Ref"].removesuffix(".Alias")
            topics = tuple(topic for of in properties["Topics"] if (topic := _value(of, values)))
            functions[name] = functions[name]._replace(topics=topics)
    return Template(
        functions,
        _queues(document["Resources"]),
        values["JwtAudience"],
        values["KafkaBrokers"],
        _scopes(document["Resources"]["Scopes"]["Properties"]),
        _queue_routes(document["Resources"], values),
    )


def _queue_routes(resources: dict[str, Any], values: dict[str, str]) -> tuple[QueueRoute, ...]:
    routes = [of["Properties"] for of in resources.values() if of["Type"].endswith("V2::Route")]
    found = []
    for route in routes:
        integration = re.sub(r"integrations/\$\{(\w+)\}", r"\1", route["Target"]["Sub"])
        parameters = resources[integration]["Properties"]["RequestParameters"]
        found.append(
            QueueRoute(
                route["RouteKey"],
                frozenset(route["AuthorizationScopes"]),
                {name: _value(of, values) for name, of in parameters.items()},
            )
        )
    return tuple(found)


def _scopes(server: dict[str, Any]) -> frozenset[str]:
    return frozenset(f"{server['Identifier']}:{scope['ScopeName']}" for scope in server["Scopes"])


def _function(
    name: str,
    properties: dict[str, Any],
    defaults: dict[str, Any],
    values: dict[str, str],
    given: dict[str, str],
) -> Function:
    declared = {
        **defaults["Environment"]["Variables"],
        **properties["Environment"]["Variables"],
    }
    environment = {key: _value(of, values) for key, of in declared.items()}
    # A function that reaches the internet is outside the network of the database.
    unreachable = _DATA if properties["VpcConfig"] == {"Ref": "AWS::NoValue"} else ()
    environment |= {
        key: of for key, of in given.items() if key in declared and key not in unreachable
    }
    routes = [
        Route(
            f"{event['Method'].upper()} {event['Path']}",
            event.get("Auth", {}).get("Authorizer") == "NONE",
        )
        for event in _events(properties, "HttpApi")
    ]
    invoked = properties.get("EventInvokeConfig", {}).get("DestinationConfig", {})
    on_success = invoked.get("OnSuccess")
    return Function(
        name,
        ROOT / properties["CodeUri"],
        properties["Handler"],
        properties["Timeout"],
        properties["MemorySize"],
        environment,
        routes,
        _rates(properties, values),
        tuple(_resource(event["Queue"]) for event in _events(properties, "SQS")),
        _resource(on_success["Destination"]) if on_success else None,
    )


def _queues(resources: dict[str, Any]) -> dict[str, Queue]:
    """Return the queues that functions read."""
    found = {}
    for resource in resources.values():
        for event in _events(resource["Properties"], "SQS"):
            name = _resource(event["Queue"])
            queue = resources[name]["Properties"]
            found[name] = Queue(
                name,
                event["BatchSize"],
                queue["RedrivePolicy"]["maxReceiveCount"],
                queue.get("FifoQueue", False),
            )
    return found


def _events(properties: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [
        event["Properties"]
        for event in properties.get("Events", {}).values()
        if event["Type"] == kind
    ]


def _rates(properties: dict[str, Any], values: dict[str, str]) -> tuple[int, ...]:
    """Return the intervals of rate(...) schedules; those of cron(...) are invoked by hand."""
    found = [
        re.fullmatch(
            r"rate\((\d+) (minute|hour|day)s?\)", _value(event["ScheduleExpression"], values)
        )
        for event in _events(properties, "ScheduleV2")
    ]
    seconds = {"minute": 60, "hour": 3600, "day": 86400}
    return tuple(int(one[1]) * seconds[one[2]] for one in found if one)


def _resource(attribute: dict[str, str]) -> str:
    """Return the name in !GetAtt Name.Arn."""
    return attribute["GetAtt"].partition(".")[0]


def _value(of: Any, values: dict[str, str]) -> str:
    """Return the value; empty for values that only AWS knows."""
    return values.get(of.get("Ref", ""), "") if isinstance(of, dict) else str(of)
