#!/usr/bin/env python3
"""Lists what is linked into the functions: a software bill of materials in CycloneDX 1.6, as JSON.

    sbom.py target/aws/bootstrap.zip    compares the list beside a package with the crates that the executable names

https://cyclonedx.org/docs/1.6/json

Cargo itself says what that is, for one package and one target: `cargo metadata` would add what other packages of the workspace
need, and `cargo tree` knows which crates are macros, which run in the compiler alone. Licences come from the crates, hashes
from Cargo.lock. The document depends on these and on the executable alone.
"""

import argparse
import hashlib
import json
import re
import subprocess
import uuid
from pathlib import Path

from glibc import read_image
from toolbox import Failure, run, without_credentials

ROOT = Path(__file__).resolve().parent.parent

# What the ids of documents are made in, so that another content is another document.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/fanfold")


def path_beside(package):
    return package.with_suffix(".cdx.json")


def document(executable, triple=None, workspace=".", package="fanfold-lambda"):
    """The bill of materials of the executable of a workspace's package that was built for a target, or for this machine, as text."""
    compiler = dict(re.findall(r"^(\w+): (\S+)$", output(["rustc", "--version", "--verbose"]), re.M))
    triple = triple or compiler["host"]
    graph = linked(workspace, package, triple)
    facts, hashes = metadata(workspace, triple), checksums(workspace)
    # The root of the tree is the executable itself.
    root = next(crate for crate in graph if crate[0] == package)
    function = {"type": "application", "name": executable.name, "hashes": [sha256(executable.read_bytes())]}
    rust = standard_library(compiler["release"])
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": component(root, facts, hashes) | function,
            "properties": [{"name": "fanfold:target", "value": triple}],
        },
        "components": [*(component(crate, facts, hashes) for crate in sorted(graph) if crate != root), rust],
        "dependencies": [
            *({"ref": reference(crate), "dependsOn": sorted(map(reference, graph[crate]))} for crate in sorted(graph)),
            {"ref": rust["bom-ref"]},
        ],
    }
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(NAMESPACE, json.dumps(document, sort_keys=True))}"
    return json.dumps(document, indent=1) + "\n"


def linked(workspace, package, triple):
    """Each crate of a package, as its name and version, with those that it depends on."""
    tree = cargo(workspace, "tree", "--package", package, "--edges", "normal,no-proc-macro", "--target", triple, "--prefix", "depth")
    graph, above = {}, []
    for depth, *crate in re.findall(r"^(\d+)(\S+) v(\S+)", tree, re.M):
        crate = tuple(crate)
        del above[int(depth):]
        # One that was already told with its own dependencies comes without them.
        graph.setdefault(crate, set())
        if above:
            graph[above[-1]].add(crate)
        above.append(crate)
    return graph


def metadata(workspace, triple):
    """What the crates say of themselves."""
    found = json.loads(cargo(workspace, "metadata", "--format-version", "1", "--filter-platform", triple))
    return {(package["name"], package["version"]): package for package in found["packages"]}


def checksums(workspace):
    """The hashes of the crates' files; those of the workspace have none."""
    blocks = (ROOT / workspace / "Cargo.lock").read_text().split("[[package]]\n")
    values = (dict(re.findall(r'^(\w+) = "(.*)"$', block, re.M)) for block in blocks)
    return {(block["name"], block["version"]): block["checksum"] for block in values if "checksum" in block}


def component(crate, facts, hashes):
    name, version = crate
    package = facts[crate]
    found = {"type": "library", "bom-ref": reference(crate), "name": name, "version": version}
    if package["license"]:
        # Older crates separate a choice by a slash, which SPDX does not know.
        found["licenses"] = [{"expression": re.sub(r" ?/ ?", " OR ", package["license"])}]
    # A crate of the workspace is not on crates.io, where another one may have its name.
    if package["source"]:
        found["purl"] = f"pkg:cargo/{name}@{version}"
        found["hashes"] = [{"alg": "SHA-256", "content": hashes[crate]}]
    if package["repository"]:
        found["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return found


def standard_library(version):
    """Rust's own library, which is in every executable; advisories name it by its CPE."""
    return {"type": "library", "bom-ref": f"std {version}", "name": "std", "version": version,
            "cpe": f"cpe:2.3:a:rust-lang:rust:{version}:*:*:*:*:*:*:*", "licenses": [{"expression": "MIT OR Apache-2.0"}]}


def reference(crate):
    return " ".join(crate)


def sha256(content):
    return {"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}


def cargo(workspace, command, *arguments):
    return output(["cargo", command, "--locked", *arguments], ROOT / workspace)


def output(command, folder=ROOT):
    done = subprocess.run(command, cwd=folder, env=without_credentials(), capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"cannot list what is linked: {' '.join(command[:2])} failed:\n{done.stderr.strip()}")
    return done.stdout


def named_in(image):
    """The crates that an executable names as the places of its panics."""
    found = re.findall(rb"registry/src/[^/\0]+/([\w-]+?)-(\d+\.\d+\.\d+[\w.+-]*)/", image)
    return {(name.decode(), version.decode()) for name, version in found}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", type=Path, help="a zip with a list beside it")
    options = parser.parse_args()
    image, listed = read_image(options.package), json.loads(path_beside(options.package).read_text())
    if sha256(image) not in listed["metadata"]["component"]["hashes"]:
        raise Failure(f"{path_beside(options.package)} is the list of another executable")
    named = named_in(image)
    missing = named - {(crate["name"], crate["version"]) for crate in listed["components"]}
    if missing:
        raise Failure(f"{path_beside(options.package)} lacks what is linked: {', '.join(sorted(map(reference, missing)))}")
    if not named:
        raise Failure(f"{options.package} names no crate, so that its list cannot be compared")
    print(f"{path_beside(options.package)}: {len(listed['components'])} components, of which the executable names {len(named)}")


if __name__ == "__main__":
    run(main)
