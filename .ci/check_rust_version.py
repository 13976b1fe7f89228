"""Fails if a dependency in `cargo metadata` asks for a newer compiler than the workspace's rust-version.

usage: check_rust_version.py METADATA.json
"""

import json
import sys


def version(text):
    return tuple(int(part) for part in text.split(".")) + (0,) * (3 - len(text.split(".")))


metadata = json.load(open(sys.argv[1]))
members = set(metadata["workspace_members"])
ours = {p["rust_version"] for p in metadata["packages"] if p["id"] in members}
if len(ours) != 1:
    sys.exit(f"the workspace states several versions: {sorted(map(str, ours))}")
floor = version(ours.pop())
newer = [
    f"{p['name']} {p['version']} asks for {p['rust_version']}"
    for p in metadata["packages"]
    if p["rust_version"] and version(p["rust_version"]) > floor
]
if newer:
    sys.exit("\n".join(newer))
print(f"{len(metadata['packages'])} packages, none newer than {'.'.join(map(str, floor))}")
