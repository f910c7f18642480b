#!/usr/bin/env python3
"""Checks that every right of the roles of functions and gateways is needed, and that no call of theirs is refused.

Runs with the emulator's Python, which has botocore, on a local AWS that was started with --auth --throttle. What the end-to-end tests did
before counts as well. A right is a statement's action on one of its resources. It is needed if a call was made that no other right of
its role allows, so that without it the call is refused. The rights of a plain upload are also taken away one by one, and no batch may
end then. Pipelines whose records wait in the same kind of place have the same rights, and a
call of one of them is enough; but for the rights to publish and to start a state machine, which only scatter has, and only where workers
learn of chunks by a topic or are run by Step Functions.
"""

import interrupts  # noqa: F401, I001: before all others

import argparse
import json
import re
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from authorised import PATH, matches
from rights_clients import exercise_clients
from rights_reports import exercise_notify, exercise_reports
from rights_used import count_late, exercise, plain, storm, unnoticed
from settings import INFRA
from throttled import Site
from toolbox import Failure, run

# A pipeline for each kind of place, and one for the topic.
REPRESENTATIVES = {"bucket": "chunked", "input": "ranged", "table": "dynamodb", "topic": "sns"}
# A pipeline that counts records; all that other processors do seldom is the same.
COUNTED = "mapped"

# What takes records that are sent one at a time, with a gateway that has a role.
GATEWAYS = ("queue", "table")

# Rights that nothing here needs, by function, kind of place ("" for all) and action, and what the resource ends with, with the reason.
RACE = "deletes what a repeated scatter puts back of a chunk that is done meanwhile, which the simulation tries"
UNVERSIONED = "is for objects without a version, of a bucket whose versions somebody turned off"
LONG = "is for outputs that take longer than a minute, which the simulation tries"
SPARED = [
    ("scatter", "", "s3:DeleteObject", "/pending/*", RACE),
    ("gather", "", "s3:DeleteObject", "/pending/*", RACE),
    ("sweep", "input", "s3:DeleteObject", "/pending/*", RACE),
    ("scatter", "", "dynamodb:BatchWriteItem", "-counters", "is for chunks that were decided and not done before a repeated scatter ends their batch, which the simulation tries"),
    ("gather", "", "s3:PutObject", "/gather/*", LONG),
    ("gather", "", "s3:DeleteObject", "/gather/*", LONG),
    ("gather", "", "s3:AbortMultipartUpload", "/*", "is for an upload that fails between its parts, which MiniStack's do not"),
    ("consolidate", "", "s3:AbortMultipartUpload", "/report/*", "is for a document that is given up between its parts, each of 5 MB, which the tests of the stage try"),
    ("notify", "", "s3:GetObject", "/summary.json", "is for a redrive that has ended and of which the documents are not made yet"),
    ("bury", "input", "s3:GetObject", "-input-000000000000/*", UNVERSIONED),
    ("gather", "input", "s3:GetObject", "-input-000000000000/*", UNVERSIONED),
    ("sweep", "input", "s3:GetObject", "-input-000000000000/*", UNVERSIONED),
    ("sweep", "input", "s3:GetObject", "-work-000000000000/*", "is for a lost chunk of a file that cannot be cut, which waits in the work bucket"),
    ("gather", "input", "s3:ListBucket", "-work-000000000000", "tells a result that is gone from one that may not be read"),
    ("process", "bucket", "s3:ListBucket", "-output-000000000000", "tells a package that is gone from one that may not be read"),
    ("billing", "all", "s3:ListBucket", "-output-000000000000", "tells a package that is gone from one that may not be read"),
    ("gather", "table", "s3:ListBucket", "-work-000000000000", "tells a list of objects that is gone from one that may not be read"),
]


@dataclass(frozen=True, order=True)
class Right:
    """A right that a statement of a role's policy grants."""

    function: str
    place: str
    statement: str
    action: str
    resource: str

    def __str__(self):
        return f"{self.function} ({self.place}): {self.statement}: {self.action} on {self.resource}"


@dataclass(frozen=True)
class Role:
    name: str
    function: str
    place: str
    pipeline: str
    document: dict

    def granted(self):
        """Its rights, by what identifies them in this role: statement, action and resource."""
        listed = [((statement["Sid"], action, resource), self.right(statement["Sid"], action, resource))
                  for statement in self.document["Statement"]
                  for action in listed_of(statement["Action"]) for resource in listed_of(statement["Resource"])]
        return dict(listed)

    def right(self, statement, action, resource):
        # What all pipelines share lies under their names alone.
        shared = re.sub("/processors/.+-[*]$", "/processors/PIPELINE-*", resource)
        return Right(self.function, self.place, statement, action, shared.replace(self.pipeline, "PIPELINE"))


def listed_of(value):
    return value if isinstance(value, list) else [value]


def roles(site):
    """The roles of all functions of a deployment, that of the one that prints reports among them, and of the gateways of records that are sent one at a time."""
    places = {variant: parts["pending"] for variant, parts in json.loads((INFRA / "variants.json").read_text()).items()}
    iam = site.client("iam")
    for name, parts in sorted(site.deployment["pipelines"].items()):
        scoped = parts["functions"]["process"].removesuffix("-process")
        gateways = [("records-gateway", f"{scoped}-records-gateway", "gateway")] if (parts.get("records_api") or {}).get("by") in GATEWAYS else []
        for function, role, policy in [*((function, role, function) for function, role in parts["functions"].items()), *gateways]:
            document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
            yield Role(role, function, places[parts["definition"]["variant"]], scoped, document)
        # The function that lists half months and sends packages has a role for each pipeline that closes them.
        if billing := parts.get("billing"):
            document = iam.get_role_policy(RoleName=billing["function"], PolicyName="billing")["PolicyDocument"]
            yield Role(billing["function"], "billing", "all", scoped, document)
    if press := site.deployment.get("press"):
        document = iam.get_role_policy(RoleName=press, PolicyName="press")["PolicyDocument"]
        yield Role(press, "press", "all", press, document)


def reporting(deployment):
    """The first pipeline that makes reports; none if none does."""
    return sorted(name for name, parts in deployment["pipelines"].items() if parts.get("reports"))[:1]


def needed(role, calls):
    """The rights of a role without one of which a call would have been refused; `calls` are its allowed calls."""
    found = {}
    granted = role.granted()
    for action, resource in calls:
        covering = [given for given in granted if given[1] == action and matches(given[2], resource)]
        if not covering:
            raise Failure(f"{role.name} was allowed {action} on {resource}, which none of its rights grants")
        if len(covering) == 1:
            found[covering[0]] = granted[covering[0]]
    return found


def faults(all_roles, calls, taken=()):
    """What is wrong: rights that were not needed, and calls that were refused although nobody took their right; and how many rights there are."""
    allowed, found = defaultdict(list), []
    for role, action, resource, was_allowed, many in calls:
        if was_allowed:
            allowed[role].append((action, resource))
        elif not any((role, action) == (who, what) and matches(where, resource) for who, what, where in taken):
            found.append(f"{role} was refused {action} on {resource}, {many} times")
    granted, used = set(), set()
    for role in all_roles:
        granted |= set(role.granted().values())
        used |= set(needed(role, allowed[role.name]).values())
    spared = {right for right in granted - used if any(spares(entry, right) for entry in SPARED)}
    found += [f"not needed: {right}" for right in sorted(granted - used - spared)]
    return found, len(granted), len(spared)


def spares(entry, right):
    function, place, action, end, _ = entry
    return (function, action) == (right.function, right.action) and place in ("", right.place) and right.resource.endswith(end)


class Watched(Site):
    """A deployment on a local AWS that counts the calls of roles."""

    def __init__(self, options):
        super().__init__(options)
        self.taken = []  # the roles, actions and resources that may be refused: a right was taken for a while, or never given, to try that

    def asked(self, **query):
        asked = f"{self.deployment['endpoint']}{PATH}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=300) as answer:
                return json.load(answer)
        except (OSError, ValueError) as problem:
            raise Failure(f"no local AWS that was started with --auth answers at {asked}: {problem}") from None

    def calls(self):
        return self.asked()["calls"]

    def many(self, role, action, resource, allowed=True):
        """How many such calls a role made."""
        return sum(many for who, what, where, how, many in self.calls()
                   if (who, what, how) == (role, action, allowed) and matches(resource, where))

    def made(self, role, action, resource, since, seconds, allowed=True):
        """Waits until a role made more than `since` such calls, and returns whether it did."""
        return self.asked(role=role, action=action, resource=resource, allowed=int(allowed), since=since, seconds=seconds)["made"]

    def await_call(self, role, action, resource, since, seconds=120, allowed=True):
        if not self.made(role, action, resource, since, seconds, allowed):
            raise Failure(f"{role} did not call {action} on {resource} within {seconds} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("deployment", type=Path)
    parser.add_argument("--command", type=Path, required=True, help="the executable fanfold")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        options.scratch = Path(scratch)
        site = Watched(options)
        names = [name for name in REPRESENTATIVES.values() if name in site.deployment["pipelines"]]
        with ThreadPoolExecutor() as pool:
            all_roles = {role.name: role for role in roles(site)}
            used = list(pool.map(lambda name: plain(site, name), names))
            counted = [pool.submit(count_late, site, name) for name in [COUNTED] if name in site.deployment["pipelines"]]
            list(pool.map(lambda name: exercise(site, name), names))
            for exercised in (exercise_reports, exercise_notify):
                list(pool.map(lambda name: exercised(site, name), reporting(site.deployment)))
            list(map(Future.result, counted))
            billing = exercise_clients(site)
            storm(site, names)
            rights_of = lambda role, calls: needed(all_roles[role], calls)
            ended = list(pool.map(lambda name, calls: unnoticed(site, name, calls, rights_of), names, used))
        found, granted, spared = faults(all_roles.values(), site.calls(), site.taken)
        found += [fault for faults_of_one, _ in ended for fault in faults_of_one]
    if not all(tried for _, tried in ended):
        found.append("no right was taken away")
    if found:
        raise Failure("\n".join(["rights of the functions:", *found]))
    tried = sum(many for _, many in ended)
    print(f"{granted} rights: each is needed but {spared}, for the reasons in {Path(__file__).name}; no call was refused")
    if billing:
        print("clients read their own usage and packages, and nobody else's")
    print(f"{tried} rights were taken away one by one: no batch ended without")


if __name__ == "__main__":
    run(main)
