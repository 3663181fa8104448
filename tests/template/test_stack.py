"""What `sam deploy` makes: nothing reaches what it need not, nothing is lost, all is watched."""

import json
import re
import tomllib
from typing import Any

import pytest

from local.template import ROOT, read
from tests.support.stack import (
    TEMPLATE,
    Resources,
    decided,
    of_type,
    properties,
    separate,
    stack,
    transformed,
)

API = {
    function.name.removesuffix("Function")
    for function in read({}).functions.values()
    if function.routes
}
UNREACHABLE = {"FxFetchFunction", "WebhookSendFunction", "PaymentCallsFunction"}
UNREACHABLE |= {"ApiDocsFunction", "TokensFunction"}
FUNCTIONS = of_type("AWS::Lambda::Function")
QUEUES = of_type("AWS::SQS::Queue")


def versions(resources: Resources) -> set[str]:
    return {name for name, of in resources.items() if of["Type"] == "AWS::Lambda::Version"}


@pytest.mark.parametrize("layer", ["DependenciesLayer", "DocumentsLayer", "CoreLayer"])
def test_a_change_of_a_layer_alone_reaches_every_function_that_has_it(layer: str) -> None:
    with_it = {name for name in FUNCTIONS if layer in json.dumps(properties(name)["Layers"])}
    assert with_it == ({"InvoiceFunction"} if layer == "DocumentsLayer" else set(FUNCTIONS))
    assert len(versions(stack())) == len(FUNCTIONS)
    new = {
        re.sub(r"Version[0-9a-f]{10}$", "", of) for of in versions(stack(layer)) - versions(stack())
    }
    assert new == with_it


def test_a_change_of_the_configuration_reaches_every_function() -> None:
    raised = re.sub(r'CONFIG_REVISION: "\w+"', 'CONFIG_REVISION: "next"', TEMPLATE)
    assert not versions(stack()) & versions(transformed(text=raised)["Resources"])


@pytest.mark.parametrize(
    ("parameters", "source"),
    [
        ({"DatabaseSnapshot": "snapshot"}, {"DBSnapshotIdentifier"}),
        (
            {"RestoreFrom": "db-ABC", "RestoreTime": "2026-11-25T12:00:00Z"},
            {"SourceDbiResourceId", "RestoreTime"},
        ),
        # RDS takes one source.
        (
            {
                "RestoreFrom": "db-ABC",
                "RestoreTime": "2026-11-25T12:00:00Z",
                "DatabaseSnapshot": "s",
            },
            {"SourceDbiResourceId", "RestoreTime"},
        ),
    ],
)
def test_a_restored_database_takes_the_place_of_the_lost_one(
    parameters: dict[str, str], source: set[str]
) -> None:
    empty, restored = (
        decided(**given)["Resources"]["Database"]["Properties"] for given in ({}, parameters)
    )
    # It has its own, and RDS refuses others.
    own = {"DBName", "MasterUsername", "AllocatedStorage"}
    assert empty.keys() - restored.keys() == own
    assert restored.keys() - empty.keys() == source
    assert "DbiResourceId" in json.dumps(properties("Migration")["Database"])


def test_another_instant_can_be_restored_after_the_first() -> None:
    kept = properties("Database")["DeleteAutomatedBackups"]
    assert kept["Fn::If"][1:] == [False, True]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_published_limited_and_logged(name: str) -> None:
    function = properties(name)
    assert f"{name}Aliaslive" in stack()
    layers = [layer["Ref"] for layer in function["Layers"]]
    assert [re.sub(r"[0-9a-f]{10}$", "", one) for one in layers[:2]] == [
        *("DependenciesLayer", "CoreLayer")
    ]
    assert function["LoggingConfig"] == {"LogGroup": {"Ref": "LogGroup"}}
    assert function["Timeout"] <= 900
    outside = {"Ref": "AWS::NoValue"}
    assert (function.get("VpcConfig", outside) == outside) == (name in UNREACHABLE)


@pytest.mark.parametrize("name", sorted(UNREACHABLE))
def test_what_reaches_the_internet_has_no_way_to_the_data(name: str) -> None:
    given = json.dumps(stack()[f"{name}Role"])
    for policy in ("DatabasePolicy", "CachePolicy", "AdministratorPolicy"):
        assert policy not in given


def test_the_administrators_secret_is_for_migration_and_audit_alone() -> None:
    holders = [name for name, of in stack().items() if "AdministratorPolicy" in json.dumps(of)]
    assert sorted(holders) == ["AuditFunctionRole", "MigrateFunctionRole"]


OWN_KAFKA = {"KafkaBrokers": "kafka:9096", "KafkaSecretArn": "arn:of:kafka"}
OWN_NETWORK = {"VpcId": "vpc-1", "SubnetIds": "subnet-1,subnet-2"}


def test_kafkas_password_is_for_who_tells_and_who_polls_alone() -> None:
    resources = decided(**OWN_KAFKA)["Resources"]
    readers = {
        name for name, of in resources.items() if "KafkaSecretArn" in json.dumps(_statements(of))
    }
    assert readers == {"TellRegionsPolicy", "CacheInvalidationFunctionRole"}
    tellers = {name for name, of in resources.items() if '"TellRegionsPolicy"' in json.dumps(of)}
    assert tellers == {
        f"{name}FunctionRole" for name in ("Account", "Privacy", "FxStore", "CacheSweep")
    }
    assert "TellRegionsPolicy" not in decided(KafkaBrokers="kafka:9092")["Resources"]


@pytest.mark.parametrize("network", [{}, OWN_NETWORK], ids=["made", "own"])
def test_lambda_polls_ones_own_kafka_from_inside_the_network(network: dict[str, str]) -> None:
    template = decided(**OWN_KAFKA, **network)
    resources = template["Resources"]
    [*inside, password] = resources["KafkaMapping"]["Properties"]["SourceAccessConfigurations"]
    assert [one["Type"] for one in inside] == ["VPC_SUBNET", "VPC_SUBNET", "VPC_SECURITY_GROUP"]
    assert {"Ref": "FunctionsSecurityGroup"} in inside[2]["URI"]["Fn::Sub"][1].values()
    assert password == {"Type": "SASL_SCRAM_512_AUTH", "URI": {"Ref": "KafkaSecretArn"}}
    # What Lambda asks for: https://docs.aws.amazon.com/lambda/latest/dg/with-kafka-cluster-network.html
    ingress = resources["PollersReachBrokers"]["Properties"]
    assert (
        ingress["GroupId"] == ingress["SourceSecurityGroupId"] == {"Ref": "FunctionsSecurityGroup"}
    )
    egress = resources["FunctionsSecurityGroup"]["Properties"]["SecurityGroupEgress"]
    assert (ingress["FromPort"], ingress["ToPort"]) in {
        (one["FromPort"], one["ToPort"]) for one in egress
    }
    assert 443 in {one["FromPort"] for one in egress}
    endpoints = {"SecretsEndpoint", "LambdaEndpoint", "TokenEndpoint"}
    assert endpoints & resources.keys() == (set() if network else endpoints)
    role = resources["CacheInvalidationFunctionRole"]["Properties"]["ManagedPolicyArns"]
    assert "policy/service-role/AWSLambdaMSKExecutionRole" in json.dumps(role)


def test_a_kafka_that_asks_for_nothing_is_polled_without_a_password() -> None:
    mapping = decided(KafkaBrokers="kafka:9092")["Resources"]["KafkaMapping"]["Properties"]
    assert len(mapping["SourceAccessConfigurations"]) == 3
    outside = {"Cache": "false", "DatabaseUrlSecretArn": "arn:of:database"}
    mapping = decided(**OWN_KAFKA, **outside)["Resources"]["KafkaMapping"]["Properties"]
    assert [one["Type"] for one in mapping["SourceAccessConfigurations"]] == ["SASL_SCRAM_512_AUTH"]


def test_charges_need_no_cache() -> None:
    assert "CachePolicy" not in json.dumps(stack()["ChargeFunctionRole"])


def test_forgetting_needs_no_database() -> None:
    assert "DatabasePolicy" not in json.dumps(stack()["CacheInvalidationFunctionRole"])


def test_nothing_leaves_the_network_but_through_its_endpoints() -> None:
    kinds = {of["Type"] for of in stack().values()}
    assert not kinds & {
        *("AWS::EC2::NatGateway", "AWS::EC2::InternetGateway", "AWS::EC2::EIP"),
        *("AWS::EC2::EgressOnlyInternetGateway", "AWS::EC2::Route"),
    }
    assert properties("Database")["PubliclyAccessible"] is False


def test_an_endpoint_lets_through_what_the_functions_do_and_no_other_account() -> None:
    let_through = {}
    for name, endpoint in of_type("AWS::EC2::VPCEndpoint").items():
        [statement] = endpoint["Properties"]["PolicyDocument"]["Statement"]
        let_through[name] = statement["Action"]
        ours = {"StringEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}}
        # The response of a custom resource, and Lambda itself, are of another account.
        theirs = "custom-resource" in str(statement) or "Service" in statement["Principal"]
        assert statement.get("Condition") == ours or theirs
    assert let_through == {
        "S3Endpoint": "s3:PutObject",
        "QueueEndpoint": "sqs:SendMessage",
        "SecretsEndpoint": "secretsmanager:GetSecretValue",
        "TopicEndpoint": "sns:Publish",
        "LambdaEndpoint": "lambda:InvokeFunction",
        "TokenEndpoint": "sts:AssumeRole",
    }


@pytest.mark.parametrize("logged", [True, False])
def test_addresses_are_logged_by_choice(logged: bool) -> None:
    resources = decided(LogAddresses=str(logged).lower())["Resources"].values()
    [stage] = [one for one in resources if one["Type"] == "AWS::ApiGatewayV2::Stage"]
    text, values = stage["Properties"]["AccessLogSettings"]["Format"]["Fn::Sub"]
    line = json.loads(text.replace("${Address}", values["Address"]))
    assert ("ip" in line) == logged
    assert {"route", "status", "request_id"} <= line.keys()


def test_a_key_of_ones_own_encrypts_all_data() -> None:
    resources = decided(DataKeyArn="arn:key")["Resources"]
    key = {"Ref": "DataKeyArn"}
    database = resources["Database"]["Properties"]
    assert database["KmsKeyId"] == database["PerformanceInsightsKMSKeyId"] == key
    assert database["MasterUserSecret"] == {"KmsKeyId": key}
    assert resources["ValkeyCache"]["Properties"]["KmsKeyId"] == key
    [_, decrypt] = resources["AdministratorPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (decrypt["Action"], decrypt["Resource"]) == ("kms:Decrypt", key)
    without = decided()["Resources"]["Database"]["Properties"]
    assert not {"KmsKeyId", "MasterUserSecret"} & without.keys()


def test_ec2_takes_every_description() -> None:
    # https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SecurityGroupRule.html
    pattern = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}")
    described = []
    for name, resource in stack().items():
        if resource["Type"].startswith("AWS::EC2::SecurityGroup"):
            of = resource["Properties"]
            rules = [of, *of.get("SecurityGroupIngress", []), *of.get("SecurityGroupEgress", [])]
            for rule in rules:
                description = rule.get("GroupDescription") or rule["Description"]
                assert pattern.fullmatch(description), (name, description)
                described.append(description)
    assert len(described) > 10


def test_no_role_of_ours_has_a_wildcard() -> None:
    for name, resource in stack().items():
        for statement in _statements(resource):
            actions = _listed(statement["Action"])
            assert not [one for one in actions if "*" in one], name
            assert "*" not in json.dumps(statement["Resource"]), name


def test_no_secret_is_in_the_environment() -> None:
    for name in FUNCTIONS:
        variables = properties(name)["Environment"]["Variables"]
        secret = {key for key in variables if re.search(r"URL$|KEY$|PASSWORD|TOKEN", key)}
        for key in secret - {"FX_API_URL", "FX_ECB_URL", "STRIPE_API_URL", "PAYPAL_API_URL"}:
            queue = variables[key]
            assert queue == "" or queue["Ref"] in QUEUES, (name, key)
    parameters = (ROOT / "template.yaml").read_text()
    assert "NoEcho" not in parameters


def test_a_release_of_code_does_not_update_the_data() -> None:
    # CloudFormation does not update a nested stack whose template and parameters are the same.
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-cloudformation-stack.html
    template, nested = separate()
    passed = template["Resources"]["Data"]["Properties"]
    assert passed.keys() == {"TemplateURL", "Parameters"}
    operators = {*template["Parameters"], "AWS::StackName"}
    for value in passed["Parameters"].values():
        assert value.get("Ref") in operators or value["Fn::If"][1:] == ["true", "false"]
    services = {of["Type"].split("::")[1] for of in nested["Data"]["Resources"].values()}
    assert services == {"EC2", "RDS", "ElastiCache", "IAM"}


def test_a_database_and_a_cache_are_in_the_data_stack_alone() -> None:
    template, nested = separate()
    for resources in (template["Resources"], nested["Observability"]["Resources"]):
        kinds = {of["Type"] for of in resources.values()} - {"AWS::RDS::EventSubscription"}
        assert not {kind.split("::")[1] for kind in kinds} & {"EC2", "RDS", "ElastiCache"}


def test_the_database_writes_whole_pages_seldom_and_recovers_in_bounded_time() -> None:
    parameters = stack()["DatabaseParameters"]["Properties"]["Parameters"]
    assert parameters["synchronous_commit"] == "on"
    assert 15 * 60 <= int(parameters["checkpoint_timeout"]) <= 30 * 60
    # The WAL between two checkpoints is a fifth of the smallest disk at most.
    smallest_gb = separate()[0]["Parameters"]["DatabaseStorageGb"]["MinValue"]
    assert int(parameters["max_wal_size"]) <= smallest_gb * 1024 / 5


def test_what_holds_data_outlives_the_stack() -> None:
    for name in ("Database", "UserPool", "LogGroup", "AccessLogGroup"):
        assert stack()[name]["DeletionPolicy"] in ("Retain", "Snapshot")
        assert stack()[name]["UpdateReplacePolicy"] in ("Retain", "Snapshot")


@pytest.mark.parametrize("name", QUEUES)
def test_a_queue_is_encrypted_and_has_dead_letters(name: str) -> None:
    queue = properties(name)
    assert queue["SqsManagedSseEnabled"] is True
    if "DeadLetters" in name:
        assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600
    else:
        target = queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        assert "DeadLetters" in target


@pytest.mark.parametrize("name", [name for name in QUEUES if "DeadLetters" not in name])
def test_a_message_is_given_up_before_it_is_forgotten(name: str) -> None:
    queue = properties(name)
    most_receives = queue["RedrivePolicy"]["maxReceiveCount"]
    assert retention(queue) > queue["VisibilityTimeout"] * most_receives


def retention(queue: dict[str, Any]) -> int:
    """In seconds; SQS keeps a message for four days where nothing else is said."""
    seconds: int = queue.get("MessageRetentionPeriod", 4 * 24 * 3600)
    return seconds


MAPPINGS = of_type("AWS::Lambda::EventSourceMapping")


@pytest.mark.parametrize("name", MAPPINGS)
def test_a_mapping_goes_to_the_alias_and_reports_what_failed(name: str) -> None:
    mapping = properties(name)
    assert mapping["FunctionName"]["Ref"].endswith("Aliaslive")
    if "Topics" in mapping:
        return
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    if "DestinationConfig" in mapping:
        # Of a stream, whose records are given up after so many tries.
        assert mapping["MaximumRetryAttempts"] > 100
        return
    queue = properties(mapping["EventSourceArn"]["Fn::GetAtt"][0])
    function = properties(mapping["FunctionName"]["Ref"].removesuffix("Aliaslive"))
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]


CONSUMERS = {
    mapping["Properties"]["FunctionName"]["Ref"].removesuffix("Aliaslive"): mapping["Properties"]
    for mapping in MAPPINGS.values()
    if "Topics" not in mapping["Properties"] and "DestinationConfig" not in mapping["Properties"]
}


@pytest.mark.parametrize("name", CONSUMERS)
def test_what_is_reserved_is_enough_for_the_queue(name: str) -> None:
    most_at_once = CONSUMERS[name]["ScalingConfig"]["MaximumConcurrency"]
    reserving = decided(ReserveConcurrency="true")["Resources"][name]["Properties"]
    assert reserving["ReservedConcurrentExecutions"] >= most_at_once


def test_nothing_is_reserved_unless_asked_for_and_then_what_the_manual_says() -> None:
    def reserved(**parameters: str) -> int:
        resources = decided(**parameters)["Resources"].values()
        return sum(
            one["Properties"].get("ReservedConcurrentExecutions", 0)
            for one in resources
            if one["Type"] == "AWS::Lambda::Function"
        )

    assert reserved() == 0
    manual = (ROOT / "docs/configure.md").read_text()
    assert f"{reserved(ReserveConcurrency='true')} of the account's concurrency" in manual


def test_a_new_accounts_concurrency_is_enough_for_every_configured_deployment() -> None:
    assert "ReserveConcurrency" not in (ROOT / "samconfig.toml").read_text()


def test_queues_leave_the_database_its_connections() -> None:
    held = sum(
        mapping["ScalingConfig"]["MaximumConcurrency"]
        for name, mapping in CONSUMERS.items()
        if "DatabasePolicy" in json.dumps(stack()[f"{name}Role"])
    )
    assert f"never hold more than {held}" in (ROOT / "docs/scale.md").read_text()
    # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html#RDS_Limits.MaxConnections
    smallest_database = 2 * 1024**3 // 9531392
    share = properties("DatabaseProxyTarget")["ConnectionPoolConfigurationInfo"]
    assert held < smallest_database * share["MaxConnectionsPercent"] / 100 / 2


SCHEDULES = of_type("AWS::Scheduler::Schedule")


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_is_of_this_stack_on_time_and_not_lost(name: str) -> None:
    schedule = properties(name)
    assert "Name" not in schedule
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert schedule["Target"]["Arn"]["Ref"].endswith("Aliaslive")
    assert "DeadLetterConfig" in schedule["Target"]
    if str(schedule["ScheduleExpression"]).startswith("cron"):
        assert schedule["ScheduleExpressionTimezone"] == "UTC"


def test_a_database_that_sleeps_is_woken_by_the_hour_at_most() -> None:
    seldom = [properties(name)["ScheduleExpression"] for name in SCHEDULES]
    assert {str(one) for one in seldom if "cron" not in str(one)} == {
        "rate(1 hour)",
        "{'Ref': 'SweepSchedule'}",
    }
    sweep = transformed()["Parameters"]["SweepSchedule"]
    assert sweep["Default"] == "rate(1 minute)"
    assert "rate(1 hour)" in sweep["AllowedValues"]
    # The alarms of what is swept wait as long.
    resources = decided(SweepSchedule="rate(1 hour)")["Resources"]
    assert resources["ScheduleErrorsAlarm"]["Properties"]["EvaluationPeriods"] == 1
    late = resources["OutboxesLateAlarm"]["Properties"]["Metrics"][0]["Expression"]
    assert "600" not in late.replace("21600", "")


def test_a_months_schedule_says_which_month() -> None:
    [target] = [properties(name)["Target"] for name in SCHEDULES if "MonthEnd" in name]
    assert json.loads(target["Input"]) == {"time": "<aws.scheduler.scheduled-time>"}


ALARMS = of_type("AWS::CloudWatch::Alarm")


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_tells_somebody_and_says_where_to_read_on(name: str) -> None:
    alarm = properties(name)
    assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]
    section = re.search(r"\(docs/monitor\.md, ([^)]+)\)", alarm["AlarmDescription"])
    assert section
    manual = (ROOT / "docs/monitor.md").read_text()
    assert f"\n## {section[1]}\n" in manual
    assert name in manual


def test_the_ledgers_alarm_is_not_red_before_the_first_audit_but_when_audits_end() -> None:
    alarm = properties("LedgerBrokenAlarm")
    assert alarm["TreatMissingData"] == "missing"
    assert alarm["InsufficientDataActions"] == alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]
    # Audits are as far apart as the alarm looks back.
    [daily] = [properties(name) for name in SCHEDULES if _scheduled(name) == "AuditFunction"]
    assert re.fullmatch(r"cron\(\d+ \d+ \* \* \? \*\)", daily["ScheduleExpression"])
    assert alarm["Period"] * alarm["EvaluationPeriods"] == 24 * 3600


def test_every_function_is_watched() -> None:
    kinds = (
        "ApiErrors",
        "PublicErrors",
        "PaymentErrors",
        "TokensRefused",
        "ScheduleErrors",
        "QueueErrors",
    )
    alarms = [f"{kind}Alarm" for kind in kinds]
    watched = json.dumps([properties(name) for name in alarms])
    scheduled = {_scheduled(name) for name in SCHEDULES}
    # A migration that fails stops the deployment.
    assert {name for name in FUNCTIONS if f'"{name}"' not in watched} - scheduled == {
        "MigrateFunction"
    }


def _scheduled(schedule: str) -> str:
    function: str = properties(schedule)["Target"]["Arn"]["Ref"].removesuffix("Aliaslive")
    return function


@pytest.mark.parametrize("name", SCHEDULES)
def test_somebody_hears_of_a_schedules_function_that_fails(name: str) -> None:
    function = _scheduled(name)
    if properties(name)["ScheduleExpression"] == {"Ref": "SweepSchedule"}:
        # An alarm of three periods of five minutes sees no failure of what is seldom invoked.
        assert f'"{function}"' in json.dumps(properties("ScheduleErrorsAlarm"))
    elif function == "FxFetchFunction":
        assert properties("RatesTooOldAlarm")["TreatMissingData"] == "breaching"
    else:
        given_up = properties(f"{function}EventInvokeConfig")["DestinationConfig"]["OnFailure"]
        assert given_up["Destination"] == {"Fn::GetAtt": ["ScheduleDeadLetters", "Arn"]}
        assert "ScheduleDeadLetters" in json.dumps(stack()[f"{function}Role"])


@pytest.mark.parametrize("name", QUEUES)
def test_a_queue_is_watched_by_its_oldest_message_and_dead_letters_by_their_count(
    name: str,
) -> None:
    metric = "NumberOfMessagesVisible" if "DeadLetters" in name else "AgeOfOldestMessage"
    [alarm] = [
        properties(one)
        for one in ALARMS
        if f'["{name}", "QueueName"]' in json.dumps(ALARMS[one]) and one != "DeadLettersExpireAlarm"
    ]
    assert f'"Approximate{metric}"' in json.dumps(alarm)


def test_a_queues_messages_are_late_before_they_are_gone() -> None:
    resources = decided(InvalidationTopicArns="arn")["Resources"]
    [late, *ages] = resources["QueuesLateAlarm"]["Properties"]["Metrics"]
    [text, rest] = late["Expression"]["Fn::Sub"]
    limits = dict(re.findall(r"(\w+) / (\d+)", text + rest["Invalidations"]))
    for age in ages:
        [queue] = age["MetricStat"]["Metric"]["Dimensions"]
        kept = retention(properties(queue["Value"]["Fn::GetAtt"][0]))
        assert int(limits.pop(age["Id"])) < kept
    assert not limits


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_has_no_more_metrics_than_cloudwatch_takes(name: str) -> None:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataQuery.html
    assert json.dumps(properties(name)).count('"MetricStat"') <= 10


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_a_configured_deployment_says_what_the_template_takes(environment: str) -> None:
    configured = tomllib.loads((ROOT / "samconfig.toml").read_text())[environment]["deploy"]
    for one in configured["parameters"]["parameter_overrides"].split():
        name, value = one.split("=")
        declared = transformed()["Parameters"][name]
        assert value in map(str, declared.get("AllowedValues", [value]))
    # Which is not enough for roles and policies with names of their own.
    assert configured["parameters"]["capabilities"] == "CAPABILITY_IAM"
    for name, resource in stack().items():
        assert not resource["Properties"].keys() & {"RoleName", "ManagedPolicyName"}, name


def test_new_versions_of_the_api_get_traffic_step_by_step_and_are_rolled_back() -> None:
    api = [name for name in FUNCTIONS if name.removesuffix("Function") in API]
    assert len(api) == len(API)
    for name in api:
        group = properties(f"{name}DeploymentGroup")
        assert "Canary10Percent5Minutes" in json.dumps(group["DeploymentConfigName"])
        assert [one["Name"]["Ref"] for one in group["AlarmConfiguration"]["Alarms"]] == [
            *("NewVersionAlarm", "NewPublicVersionAlarm", "ApiRefusesAlarm")
        ]


def test_a_version_is_taken_back_for_its_own_errors_and_is_kept_to_return_to() -> None:
    template, nested = separate()
    given = template["Resources"]["Observability"]["Properties"]["Parameters"]
    watched = [
        one["MetricStat"]
        for name in ("NewVersionAlarm", "NewPublicVersionAlarm")
        for one in nested["Observability"]["Resources"][name]["Properties"]["Metrics"]
        if "MetricStat" in one
    ]
    assert len(watched) == len(API)
    for stat in watched:
        dimensions = {one["Name"]: one["Value"] for one in stat["Metric"]["Dimensions"]}
        name = dimensions["FunctionName"]["Ref"]
        assert dimensions["Resource"] == {"Fn::Sub": f"${{{name}}}:live"}
        published = given[dimensions["ExecutedVersion"]["Ref"]]["Fn::GetAtt"][0]
        version = template["Resources"][published]
        assert version["Properties"]["FunctionName"] == given[name]
        assert version["DeletionPolicy"] == "Retain"


def test_a_public_route_has_a_limit_of_its_own() -> None:
    # No route of the API of the queue is public.
    stages = of_type("AWS::ApiGatewayV2::Stage")
    routes = of_type("AWS::ApiGatewayV2::Route").values()
    assert {of["Properties"]["AuthorizationType"] for of in routes} == {"JWT"}
    [stage] = [of for name, of in stages.items() if name != "UsageQueueStage"]
    limits = stage["Properties"]["RouteSettings"]
    default = stage["Properties"]["DefaultRouteSettings"]["ThrottlingRateLimit"]
    assert limits.keys() == {
        "GET /health",
        "GET /openapi.json",
        "GET /docs",
        "GET /docs/{file}",
        "POST /v1/tokens",
    }
    assert all(of["ThrottlingRateLimit"] <= default / 100 for of in limits.values())


def test_every_function_waits_for_the_migration() -> None:
    for name in FUNCTIONS:
        migration = properties(name)["Environment"]["Variables"]["MIGRATION"]
        if name != "MigrateFunction":
            assert "Migration" in json.dumps(migration)


def test_the_migration_waits_for_its_ways_to_the_secret_and_back() -> None:
    template, nested = separate()
    # A stack's outputs are there when all of its resources are.
    network = template["Resources"]["MigrateFunction"]["Properties"]["VpcConfig"]["Fn::If"][1]
    assert network["SecurityGroupIds"] == [
        {"Fn::GetAtt": ["Data", "Outputs.FunctionsSecurityGroup"]}
    ]
    ways = {"SecretsEndpoint", "S3Endpoint", "RoutesOfSubnetA", "RoutesOfSubnetB"}
    assert ways <= nested["Data"]["Resources"].keys()


def test_the_dashboard_is_json() -> None:
    [body, _values] = properties("Dashboard")["DashboardBody"]["Fn::Sub"]
    assert len(json.loads(body)["widgets"]) == 10


def _statements(resource: dict[str, Any]) -> list[dict[str, Any]]:
    """Of what a role may do; a !If counts both ways."""
    of = resource.get("Properties", {})
    if resource["Type"] == "AWS::IAM::ManagedPolicy":
        documents = [of["PolicyDocument"]]
    elif resource["Type"] == "AWS::IAM::Role":
        documents = [
            branch["PolicyDocument"]
            for policy in of.get("Policies", [])
            for branch in _branches(policy)
        ]
    else:
        return []
    return [
        branch
        for document in documents
        for statement in _listed(document["Statement"])
        for branch in _branches(statement)
    ]


def _branches(of: dict[str, Any]) -> list[dict[str, Any]]:
    if "Fn::If" not in of:
        return [of] if of != {"Ref": "AWS::NoValue"} else []
    return [branch for one in of["Fn::If"][1:] for branch in _branches(one)]


def _listed(of: Any) -> list[Any]:
    return of if isinstance(of, list) else [of]
