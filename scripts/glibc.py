#!/usr/bin/env python3
"""Prints which glibc an executable needs, and fails if it is newer than that of its target.

    glibc.py target/aws/bootstrap.zip --at-most 2.34

Amazon Linux 2023, on which the runtime provided.al2023 is built, has glibc 2.34:
https://docs.aws.amazon.com/linux/al2023/ug/compare-with-al2.html
"""

import argparse
import re
import struct
import zipfile
from pathlib import Path

from toolbox import Failure, run

GNU_VERNEED = 0x6FFFFFFE
MACHINES = {62: "x86_64", 183: "arm64"}


def sections(image):
    """The section headers of a 64-bit little-endian ELF image: (type, offset, size, link)."""
    if image[:4] != b"\x7fELF":
        raise Failure("not a Linux executable")
    if image[4:6] != b"\x02\x01":
        raise Failure("not a 64-bit little-endian executable")
    table, = struct.unpack_from("<Q", image, 0x28)
    size, count = struct.unpack_from("<HH", image, 0x3A)
    for index in range(count):
        kind, _, _, offset, length, link = struct.unpack_from("<IQQQQI", image, table + index * size + 4)
        yield kind, offset, length, link


def machine(image):
    number, = struct.unpack_from("<H", image, 0x12)
    return MACHINES.get(number, f"machine {number}")


def needed_versions(image):
    """The symbol versions that an image needs from its libraries, such as GLIBC_2.34."""
    headers = list(sections(image))
    for kind, offset, _, link in headers:
        if kind != GNU_VERNEED:
            continue
        names = headers[link][1]
        while True:
            count, _, entries, following = struct.unpack_from("<HIII", image, offset + 2)
            entry = offset + entries
            for _ in range(count):
                name, step = struct.unpack_from("<II", image, entry + 8)
                start = names + name
                yield image[start:image.index(b"\0", start)].decode()
                entry += step
            if not following:
                break
            offset += following


def newest_glibc(image):
    """The newest glibc version that the executable needs, as numbers; (0,) if it needs none."""
    found = [re.fullmatch(r"GLIBC_(\d+(?:\.\d+)*)", version) for version in needed_versions(image)]
    return max((tuple(map(int, match.group(1).split("."))) for match in found if match), default=(0,))


def read_image(path):
    if not path.is_file():
        raise Failure(f"there is no {path}")
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return archive.read("bootstrap")
    return path.read_bytes()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="an executable, or a zip that holds one named bootstrap")
    parser.add_argument("--at-most", default="2.34")
    parser.add_argument("--arch", choices=sorted(MACHINES.values()))
    options = parser.parse_args()
    image = read_image(options.file)
    newest = newest_glibc(image)
    version = ".".join(map(str, newest))
    limit = tuple(map(int, options.at_most.split(".")))
    if newest > limit:
        raise Failure(f"{options.file} needs glibc {version}; {options.at_most} is the newest it may need")
    if options.arch and machine(image) != options.arch:
        raise Failure(f"{options.file} is built for {machine(image)}, not for {options.arch}")
    print(f"{options.file}: {machine(image)}, needs glibc {version} (at most {options.at_most})")


if __name__ == "__main__":
    run(main)
