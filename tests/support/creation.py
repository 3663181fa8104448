"""Creates the stack in moto: what its CloudFormation cannot, by the service's own API, of what the
stack resolved; what that cannot either has a stand-in where others refer to it."""

import contextlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any, NamedTuple

import boto3
import pytest
from moto import mock_aws
from moto.cloudformation.parsing import get_model_map

from tests.support.stack import Resources, decided

REGION = "us-east-1"
ACCOUNT = "123456789012"
Properties = dict[str, Any]

# What moto's CloudFormation does not know of what it does create.
_STAND_INS = {
    "DatabaseParameters": "default.postgres18",
    "Database.MasterUserSecret.SecretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:rds",
    "Database.DbiResourceId": "db-ABC",
}
# It creates mappings, but of no Kafka.
_LEFT_OUT = {"KafkaMapping", "MskMapping", "UsageKafkaMapping", "UsageMskMapping"}


class Created(NamedTuple):
    """`ids` are CloudFormation's, by the template's names."""

    parameters: dict[str, str]
    resources: Resources
    ids: dict[str, str]
    outputs: dict[str, str]

    def of_type(self, kind: str) -> list[str]:
        return [name for name, of in self.resources.items() if of["Type"] == kind]

    def named(self, kind: str) -> dict[str, str]:
        """The ids of a type's resources, by name."""
        return {name: self.ids[name] for name in self.of_type(kind)}


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)


@contextlib.contextmanager
def account() -> Iterator[None]:
    """An empty one."""
    with (
        pytest.MonkeyPatch.context() as environment,
        mock_aws(config={"iam": {"load_aws_managed_policies": True}}),
    ):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "x")
        yield


def created(parameters: dict[str, str]) -> Created:
    template = decided(**parameters)
    resources = template["Resources"]
    left_out = {name for name, of in resources.items() if of["Type"] not in get_model_map()}
    template = _with_stand_ins(template, left_out | _LEFT_OUT)
    # Moto does not look at a snapshot's size.
    for database in template["Resources"].values():
        if database["Type"] == "AWS::RDS::DBInstance":
            database["Properties"].setdefault("AllocatedStorage", "20")
    _upload(template)
    by_api = {name: of for name, of in template["Resources"].items() if of["Type"] in BY_API}
    resolved = _create(template, left_out | _LEFT_OUT, by_api)
    described = client("cloudformation").describe_stack_resources(StackName="stack")
    ids = {
        one["LogicalResourceId"]: one.get("PhysicalResourceId", "")
        for one in described["StackResources"]
    }
    for kind, make in BY_API.items():
        for name in [name for name, of in by_api.items() if of["Type"] == kind]:
            make(name, json.loads(resolved.pop(name)))
    return Created(parameters, template["Resources"], ids, resolved)


def _create(
    template: dict[str, Any], left_out: set[str], resolved: dict[str, Any]
) -> dict[str, str]:
    """Returns the outputs, and the properties of what is `resolved` as JSON."""
    made = {name: of for name, of in template["Resources"].items() if name not in left_out}
    asked = {
        name: {"Value": {"Fn::ToJsonString": of["Properties"]}} for name, of in resolved.items()
    }
    body = {**template, "Resources": made, "Outputs": {**template["Outputs"], **asked}}
    cloudformation = client("cloudformation")
    cloudformation.create_stack(StackName="stack", TemplateBody=json.dumps(body))
    [stack] = cloudformation.describe_stacks(StackName="stack")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}


def _with_stand_ins(template: dict[str, Any], left_out: set[str]) -> dict[str, Any]:
    """An alias is stood in for by its function, and what else is left out by its name."""

    def stand_in(match: re.Match[str]) -> str:
        reference = match["name"].replace('", "', ".")
        name, _, attribute = reference.partition(".")
        if reference in _STAND_INS:
            literal = _STAND_INS[reference]
        elif name not in left_out:
            return match[0]
        elif attribute.lower().endswith("arn"):
            literal = f"arn:aws:service:{REGION}:{ACCOUNT}:kind:{name}"
        else:
            literal = reference
        return literal if match[0].startswith("$") else f'"{literal}"'

    text = json.dumps(template)
    # Moto cannot divide a network.
    subnets = list(ip_network(template["Parameters"]["VpcCidr"]["Default"]).subnets(new_prefix=20))
    text = re.sub(
        r'{"Fn::Select": \[(\d), {"Fn::Cidr": \[{"Ref": "VpcCidr"}, 2, 12\]}\]}',
        lambda match: f'"{subnets[int(match[1])]}"',
        text,
    )
    text = re.sub(r'{"Ref": "(\w+)Aliaslive"}', r'{"Fn::GetAtt": ["\1", "Arn"]}', text)
    text = re.sub(r"\${(\w+)Aliaslive}", r"${\1.Arn}", text)
    # It does not tell the number of a version, which is the first here.
    text = re.sub(r'{"Fn::GetAtt": \["\w+Version[0-9a-f]{10}", "Version"\]}', '"1"', text)
    for reference in (
        r'{"Ref": "(?P<name>\w+)"}',
        r'{"Fn::GetAtt": \["(?P<name>\w+", "[\w.]+)"\]}',
        r"\${(?P<name>[\w.]+)}",
    ):
        text = re.sub(reference, stand_in, text)
    replaced: dict[str, Any] = json.loads(text)
    return replaced


def _upload(template: dict[str, Any]) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("app.py", "")
    s3 = client("s3")
    s3.create_bucket(Bucket="bucket")
    for key in set(re.findall(r'"S3Key": "([^"]+)"', json.dumps(template))):
        s3.put_object(Bucket="bucket", Key=key, Body=archive.getvalue())


def _alarm(name: str, of: Properties) -> None:
    client("cloudwatch").put_metric_alarm(AlarmName=name, **of)


def _schedule(name: str, of: Properties) -> None:
    client("scheduler").create_schedule(Name=name, **of)


def _subscription(_name: str, of: Properties) -> None:
    attributes = {"RawMessageDelivery": "true"} if of.get("RawMessageDelivery") else {}
    names = ("TopicArn", "Protocol", "Endpoint")
    sns = boto3.client("sns", region_name=of.get("Region", REGION))
    sns.subscribe(**{name: of[name] for name in names}, Attributes=attributes)


def _queue_policy(_name: str, of: Properties) -> None:
    for url in of["Queues"]:
        policy = {"Policy": json.dumps(of["PolicyDocument"])}
        client("sqs").set_queue_attributes(QueueUrl=url, Attributes=policy)


def _user_pool(_name: str, of: Properties) -> None:
    client("cognito-idp").create_user_pool(PoolName=of.pop("UserPoolName"), **of)


def _in_user_pool(operation: str) -> Callable[[str, Properties], None]:
    def make(_name: str, of: Properties) -> None:
        cognito = client("cognito-idp")
        [pool] = cognito.list_user_pools(MaxResults=2)["UserPools"]
        getattr(cognito, operation)(**{**of, "UserPoolId": pool["Id"]})

    return make


BY_API: dict[str, Callable[[str, Properties], None]] = {
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::Scheduler::Schedule": _schedule,
    "AWS::SNS::Subscription": _subscription,
    "AWS::SQS::QueuePolicy": _queue_policy,
    "AWS::Cognito::UserPool": _user_pool,
    "AWS::Cognito::UserPoolDomain": _in_user_pool("create_user_pool_domain"),
    "AWS::Cognito::UserPoolResourceServer": _in_user_pool("create_resource_server"),
    "AWS::Cognito::UserPoolClient": _in_user_pool("create_user_pool_client"),
}
