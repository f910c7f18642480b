"""The settings of a deployment, as Terraform's variables.

They come from the environment, as the Makefile exports it, and from the state, whose outputs have those of the last deployment:
what is not given anew stays. RESET names the settings that go back to their default.
"""

import hashlib
import json
import os
import re
from pathlib import Path

from toolbox import Failure

INFRA = next(folder / "infra" for folder in Path(__file__).resolve().parents if (folder / "infra" / "main.tf").is_file())

# The variables that a deployment keeps, by the name under which they are given.
SETTINGS = {
    "ALARM_EMAIL": "alarm_email",
    "API": "api",
    "API_JWT": "api_jwt",
    "ARCH": "architecture",
    "CHUNK_SIZE": "chunk_size",
    "FAIR_BY": "fair_by",
    "FORMAT": "format",
    "GIVE_UP_AFTER": "give_up_after",
    "INPUT_PREFIX": "input_prefix",
    "INPUT_SUFFIX": "input_suffix",
    "ITEM_ATTRIBUTES": "item_attributes",
    "KEY_FIELD": "key_field",
    "KMS_KEY_ARN": "kms_key_arn",
    "LIMITS": "limits",
    "OUTPUT_EXPIRY_DAYS": "output_expiry_days",
    "PROCESSORS": "processors",
    "PROTECT_DATA": "protect_data",
    "RECORDS_API": "records_api",
    "RECORDS_BY": "records_by",
    "RECORDS_CONCURRENCY": "records_concurrency",
    "REPORTS": "reports",
    "RESULTS": "results",
    "SCATTER_CONCURRENCY": "scatter_concurrency",
    "SCHEMA": "record_schema",
    "STALL_AFTER": "stall_after",
    "TOLERATE": "tolerate",
    "UPLOADER_ARNS": "uploader_arns",
    "WEBHOOKS": "webhooks",
    "WRITE_MODE": "write_mode",
} | {
    f"TF_VAR_{variable}": variable
    for variable in ("alarm_age", "alarms", "batch_size", "concurrency", "log_level", "log_retention_days", "memory",
                     "records_rate", "sweep_rate", "timeout")
}

# Those that are lists, given as JSON or with commas or spaces between their elements.
LISTS = ["uploader_arns"]

# The most characters of processors that are told in a line.
LONG = 80

# What an emulator needs, whatever is given.
FOR_EMULATOR = {"protect_data": "false", "s3_path_style": "true", "alarms": "false", "check_quotas": "false"}

# What PIPELINES may set for a pipeline.
PIPELINE_SETTINGS = ["variant", "chunk_size", "fair_by", "format", "input_prefix", "input_suffix", "key_field", "limits",
                     "processors", "record_schema", "records_api", "records_by", "reports", "results", "timeout", "tolerate",
                     "webhooks", "write_mode"]


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
        for written in ("format", "limits", "processors", "webhooks"):
            if isinstance(definition.get(written), (dict, list)):
                definition[written] = json.dumps(definition[written], sort_keys=True)
        if isinstance(definition.get("processors"), str):
            definition["processors"] = processors_text(definition["processors"], Path(file).resolve().parent)
        if definition.get("record_schema") is not None:
            schema = Path(file).resolve().parent / str(definition["record_schema"])
            if not schema.is_file():
                raise Failure(f"{told}: the record_schema of pipeline {name} names no file: {schema}")
            definition["record_schema"] = str(schema)
    return pipelines


def processors_text(given, folder):
    """What processors are given as: JSON, or a file that holds it, by its path as seen from the folder."""
    # Neither JSON nor a processor's name ends like that.
    if not given.endswith(".json"):
        return given
    try:
        return (folder / given).read_text().strip()
    except OSError as problem:
        raise Failure(f"PROCESSORS are to be read from {given}, seen from {folder}: {problem.strerror}") from None


def names_custom(processors):
    """Whether processors, as their JSON or a single name, have the one that functions are built around."""
    try:
        parsed = json.loads(processors)
    except ValueError:
        parsed = processors.strip()
    entries = parsed if isinstance(parsed, list) else [parsed]
    return any(entry == "custom" or isinstance(entry, dict) and "custom" in entry for entry in entries)


def check_bootstrap(given):
    """Refuses pipelines that would not start: one package serves all, and holds either fanfold's own functions or those of BOOTSTRAP."""
    pipelines = json.loads(given.get("TF_VAR_pipelines", '{"chunked": {}}'))
    everywhere = given.get("TF_VAR_processors", "items")
    custom = {name: names_custom(own.get("processors") or everywhere) for name, own in pipelines.items()}
    named = ", ".join(sorted(name for name, named in custom.items() if named != bool(setting("BOOTSTRAP"))))
    if named and setting("BOOTSTRAP"):
        raise Failure(
            f"BOOTSTRAP={setting('BOOTSTRAP')} has a processor of its own, which PROCESSORS of {named} does not name: add custom,"
            " or deploy pipelines without it under another SCOPE"
        )
    if named:
        raise Failure(
            f"PROCESSORS of {named} names custom, a processor that the functions have to be built around: give the path of such an"
            " executable with BOOTSTRAP=, as in the last deployment, or take custom out"
        )


def reporting(given):
    """The names of the pipelines of a deployment with these variables that make reports."""
    pipelines = json.loads(given.get("TF_VAR_pipelines", '{"chunked": {}}'))
    everywhere = given.get("TF_VAR_reports")
    told = {name: everywhere if own.get("reports") is None else own["reports"] for name, own in pipelines.items()}
    return sorted(name for name, makes in told.items() if str(makes).lower() == "true")


def check_press(given, press):
    """Refuses pipelines that make reports, which nothing is there to print."""
    named = ", ".join(reporting(given))
    if named and not (press and Path(press).is_file()):
        raise Failure(f"reports of {named} are to be printed, and the package of the function that does is missing: build it with make package and the same settings")


def deployed_pipelines(deployed, work):
    """The definitions of the deployed pipelines by name. A deployment of an earlier version has only variants."""
    deployed = deployed or {}
    earlier = {variant: {"variant": variant} for variant in deployed.get("variants", {})}
    defined = {name: pipeline["definition"] for name, pipeline in deployed.get("pipelines", {}).items()}
    return earlier | {name: with_schema_file(definition, work) for name, definition in defined.items()}


def with_schema_file(values, work):
    """The same with a file that holds the schema, of which the state has the text. Earlier versions kept a path."""
    text = values.get("record_schema")
    if text is None or os.path.isabs(text):
        return values
    file = work / "schemas" / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return {**values, "record_schema": str(file)}


def asked_pipelines(deployed, work):
    """The pipelines to deploy; none if nothing is deployed or requested, so that Terraform deploys its default."""
    if setting("PIPELINES"):
        if setting("VARIANTS"):
            raise Failure("PIPELINES and VARIANTS both say what to deploy: give one of them")
        return read_pipelines(setting("PIPELINES"))
    known = deployed_pipelines(deployed, work)
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
    return known | asked


def in_json(value):
    return value if value.startswith("[") else json.dumps(value.replace(",", " ").split())


def given_settings():
    """The settings that are given now, by variable; None for one that goes back to its default."""
    given = {variable: None for name, variable in SETTINGS.items() if name in setting("RESET").split()}
    for name, variable in SETTINGS.items():
        value = setting(name) or setting(f"TF_VAR_{variable}")
        if value:
            given[variable] = in_json(value) if variable in LISTS else value
    if setting("PROCESSORS"):
        given["processors"] = processors_text(setting("PROCESSORS"), Path.cwd())
    if setting("SCHEMA"):
        schema = Path(setting("SCHEMA")).resolve()
        if not schema.is_file():
            raise Failure(f"SCHEMA={setting('SCHEMA')} names no file in {Path.cwd()}")
        given["record_schema"] = str(schema)
    return given


def kept_settings(outputs):
    """What the last deployment was given, by variable, according to the outputs in its state."""
    if "settings" in outputs:
        kept = outputs["settings"]["value"]
        return {variable: kept[variable] for variable in SETTINGS.values() if variable in kept}
    deployed = outputs.get("deployment", {}).get("value", {})
    # The items of an earlier version have attributes of their own names, which their readers know.
    earlier = {"item_attributes": "bare"} if deployed else {}
    # It tells two of the settings that its pipelines do not have themselves.
    return earlier | {
        variable: parts["parameters"][variable]
        for parts in {**deployed.get("variants", {}), **deployed.get("pipelines", {})}.values()
        for variable in ("chunk_size", "key_field")
        if variable in parts.get("parameters", {}) and variable not in parts.get("definition", {})
        and parts["parameters"][variable] != default_of(variable)
    }


def default_of(variable):
    text = (INFRA / "variables.tf").read_text()
    return json.loads(re.search(rf'^variable "{variable}" {{.*?^  default *= (.*?)$', text, re.M | re.S).group(1))


def merged(given, kept):
    """The settings of a deployment by variable: what is given now, and of the last deployment what is not."""
    return {variable: value for variable, value in {**kept, **given}.items() if value is not None}


def told(given, kept):
    """What is kept, in a line; empty if nothing is."""
    names = {variable: name for name, variable in SETTINGS.items()}
    long = {variable: "(as it was)" for variable, value in kept.items()
            if variable == "record_schema" or variable == "processors" and len(encoded(value)) > LONG}
    shown = {**kept, **long}
    stay = [f"{names[variable]}={encoded(value)}" for variable, value in shown.items() if variable not in given]
    return f"kept from the last deployment: {', '.join(sorted(stay))}" if stay else ""


def encoded(value):
    """A value as Terraform reads it from the environment."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def variables(options, outputs, given):
    """The settings as Terraform's variables: those that are given now, and those that the outputs of the state tell."""
    pipelines = asked_pipelines(outputs.get("deployment", {}).get("value"), options.work)
    settings = merged(given, with_schema_file(kept_settings(outputs), options.work))
    values = {variable: encoded(value) for variable, value in settings.items()} | basic_variables(options)
    values["given"] = json.dumps(sorted(set(settings) - (set(FOR_EMULATOR) if options.emulator else set())))
    if pipelines:
        values["pipelines"] = json.dumps(pipelines, sort_keys=True)
    environment = as_environment(values)
    # A zip that an earlier deployment left is nothing to a pipeline that makes no reports.
    press = {"press_package": str(Path(options.press).resolve())} if options.press and reporting(environment) else {}
    return environment | as_environment(press)


def records_of_pipelines(given):
    """What each pipeline of a deployment with these variables is told about its records, as options of the command."""
    options = {"key-field": "key_field", "schema": "record_schema", "format": "format", "limits": "limits", "processors": "processors"}
    pipelines = json.loads(given.get("TF_VAR_pipelines", '{"chunked": {}}'))
    asked = {}
    for name, own in pipelines.items():
        values = {option: own.get(variable) or given.get(f"TF_VAR_{variable}") for option, variable in options.items()}
        asked[name] = {option: value for option, value in values.items() if value}
    return asked


def basic_variables(options):
    """What Terraform needs to know even to remove everything."""
    package = {"package": str(Path(options.package).resolve())} if options.package else {}
    emulator = {**FOR_EMULATOR, "emulator_endpoint": setting("AWS_ENDPOINT_URL")} if options.emulator else {}
    return {"scope": setting("SCOPE"), **package, **emulator}


def as_environment(values):
    return {f"TF_VAR_{variable}": value for variable, value in values.items() if value}
