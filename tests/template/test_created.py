"""The stack, created in moto and looked at by the services' own APIs: with its defaults, and with
what is one's own in the place of its parts."""

import ast
import json
import re
from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Any

import boto3
import pytest
from moto.cloudformation.parsing import get_model_map

from tests.support.creation import ACCOUNT, BY_API, REGION, Created, account, client, created
from tests.support.stack import conditions_of, decided, stack

# Neither moto's CloudFormation nor a call of its API here makes them.
NOT_CREATED = {
    *("AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Stage", "AWS::CloudFormation::CustomResource"),
    *(
        "AWS::ApiGatewayV2::Authorizer",
        "AWS::ApiGatewayV2::Integration",
        "AWS::ApiGatewayV2::Route",
    ),
    *("AWS::Budgets::Budget", "AWS::Logs::MetricFilter", "AWS::RDS::EventSubscription"),
    *("AWS::CloudFront::Function", "AWS::CloudFront::OriginAccessControl"),
    *("AWS::CloudFront::Distribution", "AWS::CloudFront::ResponseHeadersPolicy"),
    "AWS::S3::BucketPolicy",
    *("AWS::CodeDeploy::Application", "AWS::CodeDeploy::DeploymentGroup"),
    *("AWS::ElastiCache::ServerlessCache", "AWS::ElastiCache::User", "AWS::ElastiCache::UserGroup"),
    *("AWS::Lambda::Alias", "AWS::Lambda::EventInvokeConfig"),
    *("AWS::RDS::DBProxy", "AWS::RDS::DBProxyTargetGroup"),
}


def _default() -> dict[str, str]:
    return {}


def _own() -> dict[str, str]:
    """Everything that may be one's own is."""
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24")["Subnet"]["SubnetId"]
        for number in (1, 2)
    ]
    secrets = ("DatabaseUrl", "AdminDatabaseUrl", "RedisUrl", "FxApiKey", "Kafka")
    client("kinesis").create_stream(StreamName="usage", ShardCount=1)
    return {
        "VpcId": vpc,
        "SubnetIds": ",".join(subnets),
        **{f"{name}SecretArn": _secret(name) for name in secrets},
        "KafkaBrokers": "kafka:9096",
        "JwtIssuer": "https://issuer.example.com",
        "CorsOrigins": "https://console.example.com",
        "SecretsKeyArn": client("kms").create_key()["KeyMetadata"]["Arn"],
        "AlarmEmail": "operator@example.com",
        "MonthlyCostUsd": "100",
        "ChargeConcurrency": "2",
        "Production": "false",
        "SweepSchedule": "rate(1 hour)",
        "ReserveConcurrency": "true",
        "LogRetentionDays": "7",
        "UsageTopic": "usage",
        "UsageQueueApiEnabled": "true",
        "UsageStreamArn": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/usage",
    }


def _regions() -> dict[str, str]:
    """A network, a restored database, and both a Kafka and a topic to tell other regions."""
    topics = [
        boto3.client("sns", region_name=region).create_topic(Name="invalidation")["TopicArn"]
        for region in (REGION, "eu-central-1", "sa-east-1", "eu-west-1", "us-west-2")
    ]
    return {
        "KafkaBrokers": "kafka:9092",
        "InvalidationTopicArns": ",".join(topics),
        "PaymentSecretArn": _secret("Payments"),
        "ConsoleDomain": "billing.example.com",
        "ConsoleCertificateArn": f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/1",
        "RestoreFrom": "db-ABC",
        "RestoreTime": "2026-11-25T12:00:00Z",
        "DatabaseSnapshot": "before",
        "DataKeyArn": client("kms").create_key()["KeyMetadata"]["Arn"],
        "LogAddresses": "false",
        "VpcCidr": "10.65.0.0/18",
        "Zones": f"{REGION}b,{REGION}c",
    }


def _outside() -> dict[str, str]:
    """In no network: a database that somebody else migrates, no cache, and MSK."""
    return {
        "DatabaseUrlSecretArn": _secret("DatabaseUrl"),
        "Cache": "false",
        "KafkaBrokers": "kafka:9098",
        "MskClusterArn": f"arn:aws:kafka:{REGION}:{ACCOUNT}:cluster/billing/1",
        "UsageTopic": "usage",
    }


def _secret(name: str) -> str:
    arn: str = client("secretsmanager").create_secret(Name=name, SecretString="x")["ARN"]
    return arn


VARIATIONS = {"default": _default, "own": _own, "regions": _regions, "outside": _outside}


@pytest.fixture(scope="module", params=VARIATIONS)
def made(request: pytest.FixtureRequest) -> Iterator[Created]:
    with account():
        yield created(VARIATIONS[request.param]())


def test_what_moto_cannot_create_is_known() -> None:
    kinds = {of["Type"] for of in stack().values()}
    assert kinds - get_model_map().keys() == NOT_CREATED | BY_API.keys()


def test_the_variations_take_every_condition_both_ways() -> None:
    taken: dict[str, set[bool]] = {}
    for parameters in VARIATIONS.values():
        with account():
            for name, holds in conditions_of(**parameters()).items():
                taken.setdefault(name, set()).add(holds)
    assert {name for name, ways in taken.items() if ways != {True, False}} == set()


def _queues() -> dict[str, dict[str, str]]:
    """The attributes of the account's queues, by their ARN."""
    sqs = client("sqs")
    attributes = [
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        for url in sqs.list_queues()["QueueUrls"]
    ]
    return {one["QueueArn"]: one for one in attributes}


def test_every_queue_gives_up_into_another_and_is_encrypted(made: Created) -> None:
    queues = _queues()
    assert len(queues) == len(made.of_type("AWS::SQS::Queue"))
    given_up_into = set()
    for arn, queue in queues.items():
        assert queue["SqsManagedSseEnabled"] == "true"
        assert ("DeadLetters" in arn) == ("RedrivePolicy" not in queue)
        if "RedrivePolicy" in queue:
            policy = json.loads(queue["RedrivePolicy"])
            given_up_into.add(policy["deadLetterTargetArn"])
            assert 3 <= int(policy["maxReceiveCount"]) <= 10
    # What schedules give up goes into one more, and what a stream's mapping gives up into another.
    others = {arn for arn in queues if "DeadLetters" in arn} - given_up_into
    mappings = client("lambda").list_event_source_mappings()["EventSourceMappings"]
    streams = {
        one["DestinationConfig"]["OnFailure"]["Destination"]
        for one in mappings
        if one.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    }
    [schedules] = others - streams
    assert "ScheduleDeadLetters" in schedules


def _functions() -> dict[str, dict[str, Any]]:
    pages = client("lambda").get_paginator("list_functions").paginate()
    return {one["FunctionArn"]: one for page in pages for one in page["Functions"]}


@pytest.mark.usefixtures("made")
def test_every_queue_is_read_by_a_function_that_has_time_for_it() -> None:
    queues, functions = _queues(), _functions()
    mappings = client("lambda").list_event_source_mappings()["EventSourceMappings"]
    read = {
        one["EventSourceArn"]: functions[one["FunctionArn"]]
        for one in mappings
        if ":sqs:" in one["EventSourceArn"]
    }
    assert read.keys() == {arn for arn in queues if "DeadLetters" not in arn}
    for arn, function in read.items():
        assert int(queues[arn]["VisibilityTimeout"]) >= 6 * function["Timeout"]


def _statements(role: str) -> list[dict[str, Any]]:
    """What a role may do, but by AWS's own policies, of which there must be one of each name."""
    iam = client("iam")
    # Moto gives inline policies in Python's notation.
    documents = [
        ast.literal_eval(iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"])
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        arn = attached["PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        if not arn.startswith("arn:aws:iam::aws:"):
            policy = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]
            documents.append(policy["Document"])
    return [statement for document in documents for statement in _listed(document["Statement"])]


def _user_pools() -> set[str]:
    cognito = client("cognito-idp")
    return {
        cognito.describe_user_pool(UserPoolId=one["Id"])["UserPool"]["Arn"]
        for one in cognito.list_user_pools(MaxResults=10)["UserPools"]
    }


def test_a_role_may_do_what_is_named_to_what_is_there(made: Created) -> None:
    there = {
        *_queues(),
        *_functions(),
        *(one["ARN"] for one in client("secretsmanager").list_secrets()["SecretList"]),
        *(one["TopicArn"] for one in client("sns").list_topics()["Topics"]),
        *(one["KeyArn"] for one in client("kms").list_keys()["Keys"]),
        *_user_pools(),
    }
    # The database, the cache and Kafka, whose ARNs moto does not make.
    stood_in = re.compile(r"arn:aws:(service|rds-db|kafka|kinesis|secretsmanager:.*:secret:rds)\b")
    for name, role in made.named("AWS::IAM::Role").items():
        for statement in _statements(role):
            assert statement["Effect"] == "Allow"
            assert not [one for one in _listed(statement["Action"]) if "*" in one], name
            for arn in _listed(statement["Resource"]):
                assert arn in there or stood_in.match(arn), (name, arn)


def _listed(of: Any) -> list[Any]:
    return of if isinstance(of, list) else [of]


def test_only_functions_reach_the_data_and_nobody_from_outside_reaches_anything(
    made: Created,
) -> None:
    groups = client("ec2").describe_security_groups()["SecurityGroups"]
    ours = {one["GroupId"]: one for one in groups if one["GroupName"].startswith("stack-")}
    assert len(ours) == len(made.named("AWS::EC2::SecurityGroup"))
    ids = made.named("AWS::EC2::SecurityGroup")
    names = {group: name.removesuffix("SecurityGroup") for name, group in ids.items()}
    ways = {
        (names[pair["GroupId"]], names[group], rule["FromPort"], rule["ToPort"])
        for group, one in ours.items()
        for rule in one["IpPermissions"]
        for pair in rule["UserIdGroupPairs"]
    }
    assert not [rule for one in ours.values() for rule in one["IpPermissions"] if rule["IpRanges"]]
    expected = set()
    if "Data" in names.values():
        expected |= {("Functions", "Data", 5432, 5432), ("Functions", "Data", 6379, 6380)}
    if "Endpoints" in names.values():
        expected |= {("Functions", "Endpoints", 443, 443)}
    if "DatabaseProxyTarget" in made.resources:
        expected |= {("Data", "Data", 5432, 5432)}
    if "KafkaMapping" in made.resources and "Functions" in names.values():
        expected |= {("Functions", "Functions", 9092, 9198)}
    assert ways == expected


def test_the_network_has_the_range_asked_for_and_is_in_the_outputs(made: Created) -> None:
    assert ("MadeVpcId" in made.outputs) == ("Vpc" in made.resources)
    if "MadeVpcId" not in made.outputs:
        return
    ec2 = client("ec2")
    [vpc] = ec2.describe_vpcs(VpcIds=[made.outputs["MadeVpcId"]])["Vpcs"]
    assert vpc["CidrBlock"] == made.parameters.get("VpcCidr", "10.64.0.0/16")
    ids = made.outputs["MadeSubnetIds"].split(",")
    ranges = [
        IPv4Network(subnet["CidrBlock"])
        for subnet in ec2.describe_subnets(SubnetIds=ids)["Subnets"]
        if subnet["VpcId"] == vpc["VpcId"]
    ]
    assert len(ranges) == 2
    assert not ranges[0].overlaps(ranges[1])
    assert all(one.subnet_of(IPv4Network(vpc["CidrBlock"])) for one in ranges)
    tables = ec2.describe_route_tables(RouteTableIds=[made.outputs["MadeRouteTableId"]])
    assert [one["VpcId"] for one in tables["RouteTables"]] == [vpc["VpcId"]]


@pytest.mark.parametrize(
    ("cidr", "taken"),
    [
        ("10.64.0.0/16", True),
        ("172.16.32.0/19", True),
        # Two subnets of /20 do not fit.
        ("10.64.0.0/20", False),
        ("10.0.0.0/8", False),
        ("10.64.0.0", False),
        ("fd00::/16", False),
    ],
)
def test_a_range_that_two_subnets_do_not_fit_into_is_refused(cidr: str, taken: bool) -> None:
    pattern = decided()["Parameters"]["VpcCidr"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, cidr)) == taken


def test_every_function_but_those_that_need_no_data_is_in_the_network(made: Created) -> None:
    subnets = {one["SubnetId"] for one in client("ec2").describe_subnets()["Subnets"]}
    group = made.ids.get("FunctionsSecurityGroup")
    for function in _functions().values():
        network = function.get("VpcConfig", {})
        name = function["FunctionName"]
        parts = ("FxFetch", "WebhookSend", "PaymentCalls", "ApiDocs", "TokensF")
        outside = any(part in name for part in parts)
        if group is None or outside:
            assert not network.get("SubnetIds"), name
        else:
            assert network["SecurityGroupIds"] == [group]
            assert len(network["SubnetIds"]) == 2
            assert set(network["SubnetIds"]) <= subnets


def test_no_function_is_told_anything_unresolved(made: Created) -> None:
    urls = set(client("sqs").list_queues()["QueueUrls"])
    for function in _functions().values():
        for name, value in function["Environment"]["Variables"].items():
            assert "${" not in str(value)
            assert not name.endswith("QUEUE_URL") or value in urls
    assert not [value for value in made.outputs.values() if "${" in value]


def test_concurrency_is_reserved_if_asked_for_alone(made: Created) -> None:
    reserved = {
        name: client("lambda").get_function_concurrency(FunctionName=name)
        for name in made.named("AWS::Lambda::Function").values()
    }
    amounts = [one.get("ReservedConcurrentExecutions", 0) for one in reserved.values()]
    assert sum(amounts) == (97 if "ReserveConcurrency" in made.parameters else 0)


def test_alarms_go_to_an_encrypted_topic_and_watch_what_is_there(made: Created) -> None:
    topic = client("sns").get_topic_attributes(TopicArn=made.outputs["AlarmTopicArn"])["Attributes"]
    assert topic["KmsMasterKeyId"] == made.ids["AlarmKey"]
    assert client("kms").get_key_rotation_status(KeyId=made.ids["AlarmKey"])["KeyRotationEnabled"]
    alarms = client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert len(alarms) == len(made.of_type("AWS::CloudWatch::Alarm"))
    there = {
        "FunctionName": {one["FunctionName"] for one in _functions().values()},
        "QueueName": {arn.split(":")[-1] for arn in _queues()},
    }
    for alarm in alarms:
        assert alarm["AlarmActions"] == [topic["TopicArn"]]
        metrics = [one["MetricStat"]["Metric"] for one in alarm["Metrics"] if "MetricStat" in one]
        for metric in metrics or [alarm]:
            for dimension in metric["Dimensions"]:
                known = there.get(dimension["Name"])
                assert known is None or dimension["Value"] in known, alarm["AlarmName"]


def test_a_mail_address_hears_of_alarms(made: Created) -> None:
    pages = client("sns").list_subscriptions_by_topic(TopicArn=made.outputs["AlarmTopicArn"])
    endpoints = [one["Endpoint"] for one in pages["Subscriptions"]]
    assert endpoints == [of for name, of in made.parameters.items() if name == "AlarmEmail"]


def test_the_topics_of_all_regions_alone_may_fill_this_regions_queue(made: Created) -> None:
    topics = made.parameters.get("InvalidationTopicArns", "").split(",")
    policies = {arn: json.loads(of["Policy"]) for arn, of in _queues().items() if of.get("Policy")}
    assert bool(policies) == (topics != [""])
    for arn, policy in policies.items():
        [statement] = policy["Statement"]
        assert statement["Resource"] == arn
        assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": topics}}
        for topic in topics:
            sns = boto3.client("sns", region_name=topic.split(":")[3])
            [told] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
            assert told["Endpoint"] == arn


def test_logs_are_kept_as_long_as_asked_for(made: Created) -> None:
    groups = client("logs").describe_log_groups()["logGroups"]
    days = int(made.parameters.get("LogRetentionDays", 90))
    assert [int(one["retentionInDays"]) for one in groups] == [days, days]
    assert made.outputs["LogGroupName"] in {one["logGroupName"] for one in groups}


def test_a_schedule_invokes_a_function_as_a_role_that_may_do_that_alone(made: Created) -> None:
    scheduler = client("scheduler")
    schedules = scheduler.list_schedules()["Schedules"]
    assert len(schedules) == len(made.of_type("AWS::Scheduler::Schedule"))
    for schedule in schedules:
        target = scheduler.get_schedule(Name=schedule["Name"])["Target"]
        allowed = {
            statement["Action"]: statement["Resource"]
            for statement in _statements(target["RoleArn"].split("/")[-1])
        }
        assert allowed == {
            "lambda:InvokeFunction": target["Arn"],
            "sqs:SendMessage": target["DeadLetterConfig"]["Arn"],
        }
        assert target["Arn"] in _functions()
        assert target["DeadLetterConfig"]["Arn"] in _queues()


# What each client of the user pool may do.
CLIENTS = {
    "gateway": {"platform", "charge", "read"},
    "administrator": {"platform", "charge", "read", "topup", "admin"},
    "tenants": {"charge", "read", "topup", "admin", "pay", "settings"},
}


def _check_client_of_people(described: dict[str, Any]) -> None:
    """It is public, and no scope of the API is its own: the trigger gives a person's."""
    assert "ClientSecret" not in described
    assert described["AllowedOAuthFlows"] == ["code"]
    assert described["AllowedOAuthScopes"] == ["openid"]
    assert described["CallbackURLs"] == described["LogoutURLs"]
    assert described["CallbackURLs"] == ["https://billing.example.com/console/"]
    # With a password or a code alone it would give tokens that may change a person's attributes.
    assert described["ExplicitAuthFlows"] == ["ALLOW_REFRESH_TOKEN_AUTH"]


def test_the_consoles_bucket_is_there_with_its_host_alone(made: Created) -> None:
    there = {one["Name"] for one in client("s3").list_buckets()["Buckets"]}
    assert bool(made.of_type("AWS::S3::Bucket")) == ("ConsoleDomain" in made.parameters)
    for name in made.named("AWS::S3::Bucket").values():
        assert name in there
        assert made.outputs["ConsoleFiles"] == name


def test_each_client_has_a_secret_its_scopes_and_no_way_in_but_by_it(made: Created) -> None:
    cognito = client("cognito-idp")
    pools = [one["Id"] for one in cognito.list_user_pools(MaxResults=10)["UserPools"]]
    assert bool(pools) == ("JwtIssuer" not in made.parameters)
    for pool in pools:
        listed = cognito.list_user_pool_clients(UserPoolId=pool)["UserPoolClients"]
        found = {}
        for one in listed:
            identifier = {"UserPoolId": pool, "ClientId": one["ClientId"]}
            described = cognito.describe_user_pool_client(**identifier)["UserPoolClient"]
            if one["ClientName"] == "console":
                _check_client_of_people(described)
                continue
            assert described["ClientSecret"]
            assert described["AllowedOAuthFlows"] == ["client_credentials"]
            found[described["ClientName"]] = set(described["AllowedOAuthScopes"])
        assert found == {
            name: {f"billing/{scope}" for scope in scopes} for name, scopes in CLIENTS.items()
        }
        [server] = cognito.list_resource_servers(UserPoolId=pool, MaxResults=10)["ResourceServers"]
        scopes = {one["ScopeName"] for one in server["Scopes"]}
        assert scopes == set.union(*CLIENTS.values())
        # What all customers' programs share gives no token of all organizations.
        pool_of = cognito.describe_user_pool(UserPoolId=pool)["UserPool"]
        trigger = pool_of["LambdaConfig"]["PreTokenGenerationConfig"]
        assert trigger["LambdaVersion"] == "V3_0"
        assert "TokenClaimsFunction" in trigger["LambdaArn"]


def test_the_database_is_encrypted_kept_and_out_of_reach(made: Created) -> None:
    databases = client("rds").describe_db_instances()["DBInstances"]
    assert bool(databases) == ("DatabaseUrlSecretArn" not in made.parameters)
    for database in databases:
        assert database["StorageEncrypted"] is True
        assert database["PubliclyAccessible"] is False
        assert database["MultiAZ"] is True
        assert database["BackupRetentionPeriod"] == 35
