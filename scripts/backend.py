"""The state of a deployment in a bucket, for several people or machines: Terraform's backend "s3".

https://developer.hashicorp.com/terraform/language/backend/s3
"""

import json
import shutil

from settings import INFRA, setting
from toolbox import Failure

# What Terraform need not ask an emulator, and how it addresses the bucket there.
FOR_EMULATOR = {"use_path_style": True, "skip_credentials_validation": True, "skip_metadata_api_check": True,
                "skip_requesting_account_id": True}


def place(state):
    """Where the state is kept instead of in a file: as STATE_BUCKET says, or as it did for an earlier deployment; else None."""
    note = note_of(state)
    kept = json.loads(note.read_text()) if note.is_file() else None
    bucket = setting("STATE_BUCKET")
    if not bucket:
        return kept
    if kept and kept["bucket"] != bucket:
        raise Failure(f"the state of SCOPE={setting('SCOPE')} is in the bucket {kept['bucket']}, not in {bucket}; if it was moved"
                      f" there, remove {note}")
    region = {"region": setting("STATE_REGION")} if setting("STATE_REGION") else {}
    return {"bucket": bucket, "key": f"fanfold/{setting('SCOPE')}terraform.tfstate", **region}


def note_of(state):
    """The file beside a state that says where the state really is; the state is then a copy of it."""
    return state.with_name(state.name + ".bucket")


def block(where, emulator):
    """The part of Terraform's configuration that says where the state is. S3 itself holds the lock, since Terraform 1.10."""
    settings = {**where, "use_lockfile": True, **(FOR_EMULATOR if emulator else {})}
    lines = "".join(f"    {name} = {json.dumps(value)}\n" for name, value in settings.items())
    return f'terraform {{\n  required_version = ">= 1.10"\n\n  backend "s3" {{\n{lines}  }}\n}}\n'


def with_backend(folder, where, emulator):
    """A folder with all of infra/ and the backend. In infra/ itself, it would be that of all deployments."""
    shutil.rmtree(folder, ignore_errors=True)
    root = folder / "infra"
    root.mkdir(parents=True)
    for entry in INFRA.iterdir():
        if not entry.name.startswith(".") and entry.name != "tests":
            (root / entry.name).symlink_to(entry)
    (folder / "examples").symlink_to(INFRA.parent / "examples")
    (root / "backend.tf").write_text(block(where, emulator))
    return root


def use(terraform, where, state, emulator):
    """Has Terraform keep the state there, moves to it what a file has so far, and makes the file a copy of it."""
    terraform.keep_state_with(with_backend(terraform.work / "remote", where, emulator))
    terraform.init()
    address = f"s3://{where['bucket']}/{where['key']}"
    if state.is_file() and not note_of(state).is_file():
        there = terraform.pull()
        # Of the same origin if an earlier deployment moved it and was ended before it wrote that down.
        if there and json.loads(there).get("lineage") != json.loads(state.read_text()).get("lineage"):
            raise Failure(f"there are two states of SCOPE={setting('SCOPE')}, {state} and {address}: remove the one that is wrong,"
                          " or choose another SCOPE")
        shutil.copyfile(state, state.with_name(state.name + ".moved"))
        if not there:
            terraform.push(state)
        print(f"the state is now {address}", flush=True)
    note_of(state).write_text(json.dumps(where) + "\n")
    refresh(terraform, state)


def refresh(terraform, state):
    """Makes the file what the state in the bucket is."""
    text = terraform.pull()
    if text:
        state.write_text(text)
    else:
        state.unlink(missing_ok=True)
