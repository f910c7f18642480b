#!/usr/bin/env python3
"""Creates on a local AWS what the end-to-end tests of processors need and users have: functions, and the pipelines that call them.

The functions are in crates/cli/tests/functions. Each has a role of its own with the rights that it needs, and an alias `live` of its
first version. They note what they do in files of a folder. Runs with the emulator's Python, which has botocore.
"""

import interrupts  # noqa: F401, I001: before all others

import argparse
import io
import json
import random
import zipfile
from pathlib import Path

import botocore.session

from emulator import port_is_free
from toolbox import Failure, python_with, run

TESTS = Path(__file__).resolve().parents[1] / "crates" / "cli" / "tests"
CODE = TESTS / "functions"
PIPELINES = TESTS / "end_to_end" / "pipelines.json"
ACCOUNT, REGION = "000000000000", "us-east-1"
TABLE = "user-idempotency"
# Seconds that a function may take. One times out before the function of fanfold does; that with Powertools never does, since an
# effect that is cut off before it is noted comes twice.
TIMEOUTS = {"consumer": 5, "powertools": 60}
# What stands in PIPELINES for the addresses of what the tests start: an API, a receiver of webhooks, and an API for invoices.
STARTED = ("API", "HOOKS", "INVOICES")
# The parameter with which webhooks are signed, and which requests to the API for invoices have, and its value, which is one for tests.
SECRET = ("hooks", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
# Ports that no outgoing connection has by chance.
PORTS = range(20000, 30000)

ALLOWED = {
    "consumer": [],
    "mapped": [],
    "objects": [{"Action": ["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:ListBucketVersions"], "Resource": "*"}],
    "own": [],
    # https://docs.powertools.aws.dev/lambda/python/latest/utilities/idempotency/#required-resources
    "powertools": [{"Action": [f"dynamodb:{action}Item" for action in ("Get", "Put", "Update", "Delete")],
                    "Resource": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{TABLE}"}],
}
NOTES = ("calls", "effects", "switches")
# What a virtual environment has besides.
INSTALLERS = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence")


def package(name, packages):
    """The zip of a function: all of the tests' code, and what is installed for it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(CODE.glob("*.py")):
            archive.write(file, file.name)
        if name == "powertools":
            for file in sorted(file for file in packages.rglob("*") if file.is_file() and is_needed(file.relative_to(packages))):
                archive.write(file, file.relative_to(packages))
    return content.getvalue()


def is_needed(file):
    """Whether a file is of a package that a function uses, and not of one with which packages are installed."""
    return "__pycache__" not in file.parts and not file.parts[0].startswith(INSTALLERS)


def packages_of(python):
    """Where the packages of a virtual environment are."""
    return next(python.parent.parent.glob("lib/python*/site-packages"))


def create(clients, name, code, notes):
    iam, functions = clients("iam"), clients("lambda")
    trusted = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName=f"user-{name}", AssumeRolePolicyDocument=policy([trusted]))["Role"]["Arn"]
    log = {"Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "*"}
    rights = [{"Effect": "Allow", **statement} for statement in [log, *ALLOWED[name]]]
    iam.put_role_policy(RoleName=f"user-{name}", PolicyName=name, PolicyDocument=policy(rights))
    functions.create_function(
        FunctionName=f"user-{name}", Runtime="python3.13", Handler=f"{name}.handler", Role=role, Timeout=TIMEOUTS.get(name, 30), Publish=True,
        Code={"ZipFile": code}, Environment={"Variables": {"NOTES": str(notes), "TABLE": TABLE}},
    )
    functions.create_alias(FunctionName=f"user-{name}", Name="live", FunctionVersion="1")


def policy(statements):
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def create_table(dynamodb):
    dynamodb.create_table(
        TableName=TABLE, BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )


def free_port():
    """A port that stays free until the tests listen there."""
    ports = random.sample(PORTS, 100)
    return next(port for port in ports if port_is_free(port))


def pipelines(text, port=free_port):
    """The tests' pipelines as a deployment is given them."""
    for name in STARTED:
        if f"//{name}/" not in text:
            raise Failure(f"{PIPELINES} has no {name}")
        text = text.replace(f"//{name}/", f"//127.0.0.1:{port()}/")
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("endpoint", help="of the local AWS")
    parser.add_argument("--notes", type=Path, required=True, help="folder in which the functions note what they do")
    parser.add_argument("--pipelines", type=Path, required=True, help="file to write the pipelines to")
    parser.add_argument("--venv", default="target/powertools", help="virtual environment to install packages of functions in")
    options = parser.parse_args()
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    session = botocore.session.get_session()
    clients = lambda service: session.create_client(service, REGION, endpoint_url=options.endpoint, **keys)
    notes = options.notes.resolve()
    for kind in NOTES:
        (notes / kind).mkdir(parents=True, exist_ok=True)
    packages = packages_of(python_with("powertools", options.venv))
    create_table(clients("dynamodb"))
    clients("ssm").put_parameter(Name=SECRET[0], Value=SECRET[1], Type="SecureString")
    for name in ALLOWED:
        create(clients, name, package(name, packages), notes)
    options.pipelines.write_text(pipelines(PIPELINES.read_text()))
    print(f"{len(ALLOWED)} functions of users")


if __name__ == "__main__":
    run(main)
