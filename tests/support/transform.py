"""Print what `sam deploy` makes of the template on standard input as JSON: the template, and those
of the stacks below it by the name of their resource. Resources named on the command line were
uploaded anew. Run in a process of its own, in the
project's folder, because its imports are slow."""

import json
import sys
from pathlib import Path

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


class _Policies:
    """The ARNs of AWS's managed policies, which an account would be asked for."""

    def load(self) -> dict[str, str]:
        names = (
            "AWSLambdaBasicExecutionRole",
            "AWSLambdaVPCAccessExecutionRole",
            "AWSLambdaSQSQueueExecutionRole",
            "AWSXRayDaemonWriteAccess",
        )
        return {name: f"arn:aws:iam::aws:policy/service-role/{name}" for name in names}


template = yaml_parse(sys.stdin.read())
nested = {}
for name, resource in template["Resources"].items():
    if resource["Type"] == "AWS::CloudFormation::Stack":
        nested[name] = yaml_parse(Path(resource["Properties"]["TemplateURL"]).read_text())
    for uri in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
        revision = "new" if name in sys.argv else "old"
        resource["Properties"][uri] = f"s3://bucket/{name}-{revision}"
json.dump([transform(template, {}, _Policies()), nested], sys.stdout)
