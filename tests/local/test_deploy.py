"""A deployment is refused before it fails, and never puts the data at risk for the code."""

import io
import json
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws

from local import deploy, rollback
from local.target import read_target

QUEUE = {"Type": "AWS::SQS::Queue"}
PARAMETERS = {
    "Architecture": {"Type": "String", "Default": "x86_64"},
    "DatabaseUrl": {"Type": "String", "Default": ""},
    "DatabaseClass": {"Type": "String", "Default": "small"},
    "LogLevel": {"Type": "String", "Default": "INFO"},
    "VpcId": {"Type": "String", "Default": ""},
    "Zones": {"Type": "String", "Default": ""},
}
CONDITIONS = {"MakesDatabase": {"Fn::Equals": [{"Ref": "DatabaseUrl"}, ""]}}
# What a data stack is here; a change of its size is one of its template.
DATA: dict[str, Any] = {
    "Parameters": {"Class": {"Type": "String"}, "Make": {"Type": "String"}},
    "Resources": {"Database": {**QUEUE, "Properties": {"DelaySeconds": 1}}},
}
LARGER: dict[str, Any] = {
    **DATA,
    "Resources": {"Database": {**QUEUE, "Properties": {"DelaySeconds": 2}}},
}


def _template(url: str, code: str) -> dict[str, Any]:
    made = {"Fn::If": ["MakesDatabase", "true", "false"]}
    data = {
        "Type": "AWS::CloudFormation::Stack",
        "Properties": {
            "TemplateURL": url,
            "Parameters": {"Class": {"Ref": "DatabaseClass"}, "Make": made},
        },
    }
    function = {**QUEUE, "Metadata": {"Code": code}}
    return {
        "Globals": {"Function": {"Environment": {"Variables": {"CONFIG_REVISION": "1"}}}},
        "Parameters": PARAMETERS,
        "Conditions": CONDITIONS,
        "Resources": {"Data": data, "Function": function},
    }


class Deploying:
    """An account, a build in a folder, and a `sam` that notes what it is told to deploy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.build("new", DATA)
        self.configure()
        sam = folder / "sam"
        sam.write_text(f"#!{sys.executable}\n{_SAM}")
        sam.chmod(0o700)

    def build(self, code: str, data: dict[str, Any], architecture: str = "x86_64") -> None:
        (self.folder / "build" / "Data").mkdir(parents=True, exist_ok=True)
        url = "Data/template.yaml"
        (self.folder / "build" / url).write_text(yaml.safe_dump(data))
        template = yaml.safe_dump(_template(url, code))
        (self.folder / "build" / "template.yaml").write_text(template)
        notes = f'[function_build_definitions.x]\narchitecture = "{architecture}"\n'
        (self.folder / "build.toml").write_text(notes)

    def configure(self, overrides: str = "") -> None:
        (self.folder / "samconfig.toml").write_text(
            "version = 0.1\n"
            '[prod.global.parameters]\nstack_name = "billing"\nregion = "eu-central-1"\n'
            f"[prod.deploy.parameters]\nparameter_overrides = '''{overrides}'''\n"
        )

    def exists(self, code: str, data: dict[str, Any]) -> None:
        """Something was deployed before."""
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="data", Body=json.dumps(data))
        body = json.dumps(_template("https://s3.amazonaws.com/bucket/data", code))
        cloudformation = boto3.client("cloudformation", region_name="eu-central-1")
        given = [
            {"ParameterKey": name, "ParameterValue": of["Default"]}
            for name, of in PARAMETERS.items()
        ]
        cloudformation.create_stack(StackName="billing", TemplateBody=body, Parameters=given)

    def move(self, region: str) -> None:
        config = self.folder / "samconfig.toml"
        config.write_text(config.read_text().replace("eu-central-1", region))

    def deploy(self) -> list[dict[str, Any]]:
        """What `sam deploy` was told, one after the other."""
        deploy.main("prod", self.folder / "samconfig.toml")
        return [json.loads(line) for line in (self.folder / "told").read_text().splitlines()]


_SAM = """
import json, sys, yaml
from pathlib import Path
here = Path(__file__).parent
words = [word for word in sys.argv[2:] if word != "--no-fail-on-empty-changeset"]
options = dict(zip(words[::2], words[1::2]))
path = Path(options.get("-t", here / "build" / "template.yaml"))
options["template"] = yaml.safe_load(path.read_text())
with (here / "told").open("a") as told:
    told.write(json.dumps(options) + chr(10))
sys.exit(1 if (here / "fails").exists() else 0)
"""


@pytest.fixture
def deploying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deploying]:
    monkeypatch.setattr(deploy, "BUILD", tmp_path / "build")
    monkeypatch.setattr(deploy, "NOTES", tmp_path / "build.toml")
    monkeypatch.setattr(deploy, "DATA_FIRST", tmp_path / "data-first.json")
    monkeypatch.setattr(deploy, "SAM", tmp_path / "sam")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    with mock_aws():
        yield Deploying(tmp_path)


def _code(told: dict[str, Any]) -> str:
    code: str = told["template"]["Resources"]["Function"]["Metadata"]["Code"]
    return code


def _revision(told: dict[str, Any]) -> str:
    variables = told["template"]["Globals"]["Function"]["Environment"]["Variables"]
    revision: str = variables["CONFIG_REVISION"]
    return revision


def test_a_first_deployment_is_one_of_everything(deploying: Deploying) -> None:
    [told] = deploying.deploy()
    assert told["--config-env"] == "prod"
    assert "--parameter-overrides" not in told
    assert _code(told) == "new"


def test_a_release_of_code_is_one_deployment(deploying: Deploying) -> None:
    deploying.exists("old", DATA)
    deploying.configure("LogLevel=DEBUG DatabaseClass=small")
    assert [_code(told) for told in deploying.deploy()] == ["new"]


@pytest.mark.parametrize(
    ("data", "overrides", "given"),
    [
        (LARGER, "LogLevel=DEBUG", "DatabaseClass=small DatabaseUrl=''"),
        (DATA, "LogLevel=DEBUG DatabaseClass=large", "DatabaseClass=large DatabaseUrl=''"),
        # By way of a condition.
        (DATA, "DatabaseUrl=postgresql://x", "DatabaseClass=small DatabaseUrl=postgresql://x"),
    ],
)
def test_data_that_changes_is_deployed_first_and_below_the_code_that_runs(
    deploying: Deploying, data: dict[str, Any], overrides: str, given: str
) -> None:
    deploying.exists("old", DATA)
    deploying.build("new", data)
    deploying.configure(overrides)
    first, second = deploying.deploy()
    assert (_code(first), _code(second)) == ("old", "new")
    assert first["--parameter-overrides"] == given
    # The code that runs refers to addresses that may be new.
    assert _revision(first) != "1"
    url = first["template"]["Resources"]["Data"]["Properties"]["TemplateURL"]
    assert yaml.safe_load(Path(url).read_text()) == data


def test_the_code_stays_where_the_data_fails(deploying: Deploying) -> None:
    deploying.exists("old", DATA)
    deploying.build("new", LARGER)
    (deploying.folder / "fails").touch()
    with pytest.raises(SystemExit) as ended:
        deploying.deploy()
    assert ended.value.code == 1
    assert len((deploying.folder / "told").read_text().splitlines()) == 1


@pytest.mark.parametrize(("built", "overrides"), [("arm64", ""), ("x86_64", "Architecture=arm64")])
def test_a_build_for_another_architecture_is_refused_before_it_is_uploaded(
    deploying: Deploying, built: str, overrides: str
) -> None:
    deploying.build("new", DATA, built)
    deploying.configure(overrides)
    with pytest.raises(SystemExit, match=f"The build is for {built}, but prod deploys"):
        deploying.deploy()
    assert not (deploying.folder / "told").exists()


@pytest.mark.parametrize(
    ("overrides", "refused"),
    [
        ("", ""),
        ("Zones=us-east-1a,us-east-1d", ""),
        ("Zones=us-east-1a,us-east-1e", "Zones=us-east-1a,us-east-1b"),
        ("VpcId=vpc-1 Zones=us-east-1e,us-east-1f", ""),
    ],
)
def test_a_zone_without_rds_proxy_is_refused_before_it_fails(
    deploying: Deploying, overrides: str, refused: str
) -> None:
    zones = boto3.client("ec2", region_name="us-east-1").describe_availability_zones()
    ids = {zone["ZoneName"]: zone["ZoneId"] for zone in zones["AvailabilityZones"]}
    assert ids["us-east-1e"] in deploy.WITHOUT_PROXY
    deploying.configure(overrides)
    deploying.move("us-east-1")
    if not refused:
        deploying.deploy()
        return
    with pytest.raises(SystemExit, match=refused):
        deploying.deploy()


class Released:
    """A stack with two functions, whose alias a release moves as `sam deploy` does."""

    def __init__(self, deploying: Deploying) -> None:
        self.config = deploying.folder / "samconfig.toml"
        self.target = read_target(self.config, "prod")
        self.client = boto3.client("lambda", region_name="eu-central-1")
        role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}
        function = {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Handler": "app.handler",
                "Runtime": "python3.13",
                "Code": {"ZipFile": "1"},
            },
        }
        body = {"Resources": {"Role": role, "Charge": function, "Topup": function}}
        cloudformation = boto3.client("cloudformation", region_name="eu-central-1")
        cloudformation.create_stack(StackName="billing", TemplateBody=json.dumps(body))
        resources = cloudformation.describe_stack_resources(StackName="billing")["StackResources"]
        self.names = {
            one["LogicalResourceId"]: one["PhysicalResourceId"]
            for one in resources
            if one["ResourceType"] == "AWS::Lambda::Function"
        }
        for name in self.names.values():
            self.client.publish_version(FunctionName=name)
            self.client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")

    def release(self, *functions: str) -> None:
        """Publish and serve new versions, as make deploy records it."""
        known = rollback.Functions(self.target)
        before = known.serving()
        for function in functions:
            archive = io.BytesIO()
            with zipfile.ZipFile(archive, "w") as written:
                written.writestr("app.py", str(uuid.uuid4()))
            name = self.names[function]
            self.client.update_function_code(FunctionName=name, ZipFile=archive.getvalue())
            version = self.client.publish_version(FunctionName=name)["Version"]
            known.serve(function, version)
        known.record(rollback.Release(before, known.serving()))

    def serving(self) -> dict[str, str]:
        return rollback.Functions(self.target).serving()

    def roll_back(self) -> None:
        rollback.main("prod", self.config)


@pytest.fixture
def released(deploying: Deploying) -> Released:
    return Released(deploying)


def test_a_rollback_returns_to_the_release_before_and_another_to_the_newer(
    released: Released,
) -> None:
    with pytest.raises(SystemExit, match=r"No release of billing was recorded"):
        released.roll_back()
    released.release("Charge", "Topup")
    # A release that changes one function alone is taken back by that function alone.
    released.release("Charge")
    assert released.serving() == {"Charge": "3", "Topup": "2"}
    released.roll_back()
    assert released.serving() == {"Charge": "2", "Topup": "2"}
    released.roll_back()
    assert released.serving() == {"Charge": "3", "Topup": "2"}


def test_a_rollback_that_was_interrupted_is_finished_by_the_next(released: Released) -> None:
    released.release("Charge", "Topup")
    rollback.Functions(released.target).serve("Charge", "1")
    released.roll_back()
    assert released.serving() == {"Charge": "1", "Topup": "1"}


def test_traffic_that_shifts_is_left_to_the_deployment(released: Released) -> None:
    released.release("Charge")
    released.client.update_alias(
        FunctionName=released.names["Charge"],
        Name="live",
        FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.1}},
    )
    with pytest.raises(SystemExit, match="Traffic of Charge is shifting"):
        released.roll_back()


def test_changed_parameters_reach_the_functions(deploying: Deploying) -> None:
    def revision(overrides: str) -> str:
        deploying.configure(overrides)
        [*_, told] = deploying.deploy()
        return _revision(told)

    first = revision("LogLevel=INFO")
    assert revision("LogLevel=INFO") == first
    assert revision("LogLevel=DEBUG") != first


def test_an_environment_that_is_not_configured_is_refused(deploying: Deploying) -> None:
    with pytest.raises(SystemExit, match=r"no environment 'staging', but prod\."):
        deploy.main("staging", deploying.folder / "samconfig.toml")


def test_an_account_that_cannot_be_asked_is_one_sentence(deploying: Deploying) -> None:
    config = deploying.folder / "samconfig.toml"
    config.write_text(config.read_text() + 'profile = "nosuch"\n')
    with pytest.raises(SystemExit, match=r"Cannot look up the stack billing: .*\(nosuch\)"):
        deploying.deploy()


def test_make_deploy_needs_no_sam_on_the_path() -> None:
    asked = subprocess.run(
        ["make", "-n", "deploy", "ENV=dev"], capture_output=True, text=True, check=True
    )
    assert ".venv-sam/bin/python -m local.deploy dev samconfig.toml" in asked.stdout
    assert deploy.SAM.parts[-3:] == (".venv-sam", "bin", "sam")
