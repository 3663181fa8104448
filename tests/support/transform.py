"""What `sam deploy` makes of the template on standard input, as JSON; what it names of resources on
the command line was uploaded anew. Run in a process of its own, because its imports are slow."""

import json
import sys

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
for name, resource in template["Resources"].items():
    for uri in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
        revision = "new" if name in sys.argv else "old"
        resource["Properties"][uri] = f"s3://bucket/{name}-{revision}"
json.dump(transform(template, {}, _Policies()), sys.stdout)
