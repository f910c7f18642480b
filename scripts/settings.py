"""The settings of a deployment, from the environment as the Makefile exports it, as Terraform's variables."""

import json
import os
from pathlib import Path

from toolbox import Failure

INFRA = next(folder / "infra" for folder in Path(__file__).resolve().parents if (folder / "infra" / "main.tf").is_file())

# Settings that are passed unchanged as Terraform's variables.
PLAIN_SETTINGS = {
    "ALARM_EMAIL": "alarm_email",
    "ARCH": "architecture",
    "CHUNK_SIZE": "chunk_size",
    "GIVE_UP_AFTER": "give_up_after",
    "KEY_FIELD": "key_field",
    "KMS_KEY_ARN": "kms_key_arn",
    "PROTECT_DATA": "protect_data",
    "RESULTS": "results",
    "STALL_AFTER": "stall_after",
    "WRITE_MODE": "write_mode",
}

# What PIPELINES may set for a pipeline.
PIPELINE_SETTINGS = ["variant", "chunk_size", "key_field", "record_schema", "results", "write_mode"]


def setting(name):
    return os.environ.get(name, "").strip()


def known_variants():
    return list(json.loads((INFRA / "variants.json").read_text()))


def read_pipelines(file):
    """The pipelines that a file defines, by name; paths of schemas in it are relative to it."""
    told = f"PIPELINES={file}"
    try:
        pipelines = json.loads(Path(file).read_text())
    except OSError as problem:
        raise Failure(f"{told} cannot be read: {problem.strerror}") from None
    except ValueError as problem:
        raise Failure(f"{told} is not JSON: {problem}") from None
    if not isinstance(pipelines, dict) or not pipelines or not all(isinstance(of, dict) for of in pipelines.values()):
        raise Failure(f'{told} must hold a JSON object of pipelines by name, as in {{"orders": {{"variant": "ranged"}}}}')
    for name, definition in pipelines.items():
        for unknown in set(definition) - set(PIPELINE_SETTINGS):
            raise Failure(f"{told}: pipeline {name} has no setting {unknown}; there is {', '.join(PIPELINE_SETTINGS)}")
        if definition.get("record_schema") is not None:
            schema = Path(file).resolve().parent / str(definition["record_schema"])
            if not schema.is_file():
                raise Failure(f"{told}: the record_schema of pipeline {name} names no file: {schema}")
            definition["record_schema"] = str(schema)
    return pipelines


def deployed_pipelines(deployed):
    """The definitions of the deployed pipelines by name. A deployment of an earlier version has only variants."""
    deployed = deployed or {}
    earlier = {variant: {"variant": variant} for variant in deployed.get("variants", {})}
    return earlier | {name: pipeline["definition"] for name, pipeline in deployed.get("pipelines", {}).items()}


def asked_pipelines(deployed):
    """The pipelines to deploy; none if none were requested, so that Terraform deploys its default."""
    if setting("PIPELINES"):
        if setting("VARIANTS"):
            raise Failure("PIPELINES and VARIANTS both say what to deploy: give one of them")
        return read_pipelines(setting("PIPELINES"))
    known = deployed_pipelines(deployed)
    asked = {}
    for name in (setting("VARIANTS") or setting("PIPELINE")).replace(",", " ").split():
        if name not in known and name not in known_variants():
            raise Failure(
                f"{name} is neither a variant ({', '.join(known_variants())}) nor a pipeline that is deployed"
                f" ({', '.join(sorted(known)) or 'none'}): define it in a file and name that with PIPELINES="
            )
        asked[name] = known.get(name, {"variant": name})
    if setting("VARIANTS") and not setting("KEEP_VARIANTS"):
        return asked
    # Other deployed pipelines stay.
    return known | asked if asked else {}


def variables(options, deployed):
    """The given settings as Terraform's variables."""
    given = {"scope": setting("SCOPE"), "package": str(Path(options.package).resolve()) if options.package else ""}
    pipelines = asked_pipelines(deployed)
    if pipelines:
        given["pipelines"] = json.dumps(pipelines, sort_keys=True)
    if setting("SCHEMA"):
        schema = Path(setting("SCHEMA")).resolve()
        if not schema.is_file():
            raise Failure(f"SCHEMA={setting('SCHEMA')} names no file")
        given["record_schema"] = str(schema)
    for name, variable in PLAIN_SETTINGS.items():
        given[variable] = setting(name)
    if options.emulator:
        given["protect_data"] = "false"
        given["s3_path_style"] = "true"
        given["alarms"] = "false"
    return {f"TF_VAR_{name}": value for name, value in given.items() if value}
