"""The console and the API are one origin, on which nothing of others runs."""

import json
from typing import Any

import pytest

from local import console
from local.template import ROOT
from tests.support.stack import decided

DOMAIN = {"ConsoleDomain": "billing.example.com", "ConsoleCertificateArn": "arn:of:certificate"}
ENDPOINT = "https://tokens.example.com/oauth2/token"
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"
# Headers, cookies and the query: all but the host, by which API Gateway knows whom it is asked for.
ALL_VIEWER_EXCEPT_HOST = "b689b0a8-53d0-40ab-baf2-68738e2966ac"


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    resources: dict[str, Any] = decided(**DOMAIN)["Resources"]
    return resources


def config(made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = made["Distribution"]["Properties"]["DistributionConfig"]
    return found


@pytest.mark.parametrize(
    "parameters", [{}, {**DOMAIN, "JwtIssuer": "https://issuer.example.com"}], ids=["none", "own"]
)
def test_without_a_host_or_people_to_sign_in_there_is_no_console(
    parameters: dict[str, str],
) -> None:
    template = decided(**parameters)
    kinds = {of["Type"] for of in template["Resources"].values()}
    assert not [kind for kind in kinds if "CloudFront" in kind or "S3" in kind]
    assert "ConsoleClient" not in json.dumps(template["Resources"])
    assert not [name for name in template["Outputs"] if "Console" in name]


def test_the_api_takes_the_tokens_of_people(made: dict[str, Any]) -> None:
    [api] = [
        of
        for of in made.values()
        if of["Type"] == "AWS::ApiGatewayV2::Api" and "Body" in of["Properties"]
    ]
    assert {"Ref": "ConsoleClient"} in _audience(api["Properties"]["Body"])


def _audience(body: dict[str, Any]) -> list[Any]:
    schemes = body["components"]["securitySchemes"]
    found: list[Any] = schemes["Jwt"]["x-amazon-apigateway-authorizer"]["jwtConfiguration"][
        "audience"
    ]
    return found


def test_everything_but_the_console_is_the_apis_and_never_cached(made: dict[str, Any]) -> None:
    api = config(made)["DefaultCacheBehavior"]
    assert api["TargetOriginId"] == "api"
    assert api["CachePolicyId"] == CACHING_DISABLED
    assert api["OriginRequestPolicyId"] == ALL_VIEWER_EXCEPT_HOST
    assert {"POST", "PUT", "PATCH", "DELETE"} < set(api["AllowedMethods"])
    # A token is not sent before TLS, and then again.
    assert api["ViewerProtocolPolicy"] == "https-only"


def test_releases_are_cached_and_every_other_address_is_the_page(made: dict[str, Any]) -> None:
    # The first pattern that fits counts.
    release, page = config(made)["CacheBehaviors"]
    assert release["PathPattern"] == f"{console.RELEASES}*"
    assert release["CachePolicyId"] == CACHING_OPTIMIZED
    assert release["Compress"] is True
    assert "FunctionAssociations" not in release
    assert page["PathPattern"] == "/console*"
    assert page["CachePolicyId"] == CACHING_DISABLED
    [association] = page["FunctionAssociations"]
    assert association["EventType"] == "viewer-request"
    code = made["ConsolePage"]["Properties"]["FunctionCode"]
    assert 'event.request.uri = "/console/index.html"' in code
    for behavior in (release, page):
        assert behavior["TargetOriginId"] == "files"
        assert behavior["ResponseHeadersPolicyId"] == {"Ref": "ConsoleHeaders"}


def test_the_console_has_the_headers_that_it_has_locally(made: dict[str, Any]) -> None:
    headers = made["ConsoleHeaders"]["Properties"]["ResponseHeadersPolicyConfig"]
    security = headers["SecurityHeadersConfig"]
    policy = security["ContentSecurityPolicy"]["ContentSecurityPolicy"]
    text, values = policy["Fn::Sub"]
    assert list(values) == ["TokenOrigin"]
    sign_in = console.SignIn("", ENDPOINT, "", "")
    assert text.replace("${TokenOrigin}", "https://tokens.example.com") == console.policy(sign_in)
    assert security["ReferrerPolicy"]["ReferrerPolicy"] == "no-referrer"
    assert security["StrictTransportSecurity"]["AccessControlMaxAgeSec"] >= 31536000
    assert all(of["Override"] for of in security.values())


def test_nobody_but_the_distribution_reads_the_bucket(made: dict[str, Any]) -> None:
    bucket = made["ConsoleFiles"]["Properties"]
    assert list(bucket["PublicAccessBlockConfiguration"].values()) == [True] * 4
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    allowed, refused = made["ConsoleFilesPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert allowed["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    assert allowed["Action"] == "s3:GetObject"
    assert "distribution/${Distribution}" in json.dumps(allowed["Condition"])
    assert (refused["Effect"], refused["Principal"]) == ("Deny", "*")


def test_no_older_tls_is_spoken_on_either_side(made: dict[str, Any]) -> None:
    distribution = config(made)
    assert distribution["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"
    assert distribution["Aliases"] == [{"Ref": "ConsoleDomain"}]
    [api, files] = distribution["Origins"]
    assert api["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"
    assert api["CustomOriginConfig"]["OriginSSLProtocols"] == ["TLSv1.2"]
    assert "OriginAccessControlId" in files


def test_the_manual_names_what_it_takes() -> None:
    manual = (ROOT / "docs/deploy.md").read_text()
    for name in (*DOMAIN, "ConsoleAddress", "us-east-1"):
        assert name in manual
