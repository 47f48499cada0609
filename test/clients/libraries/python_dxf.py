"""Pulls an image with python-dxf, which speaks TLS only. See libraries.ts for what it is told and what it prints."""

import json
import os
import sys

from dxf import DXF
from dxf.exceptions import DXFPlatformDataNotFound

reference = sys.argv[1]
host, _, name = reference.partition("/")
repository, _, alias = name.partition("@") if "@" in name else name.partition(":")
key = os.environ.get("KEY")


def authenticate(dxf, response):
    dxf.authenticate(None if key is None else "anyone", key, response=response)


dxf = DXF(host, repository, authenticate, tlsverify=os.environ["CA"])


def get_manifest():
    platform = os.environ.get("PLATFORM")
    try:
        return dxf.get_manifest(alias or "latest", platform=platform)
    except DXFPlatformDataNotFound:
        # It takes a platform by its whole name only, and the variant of arm64 is left out by most.
        return dxf.get_manifest(alias or "latest", platform=f"{platform}/v8")


found = get_manifest()
# Of an index without a platform: all of them, by their names.
for manifest in found.values() if isinstance(found, dict) else [found]:
    parsed = json.loads(manifest)
    for digest in [parsed["config"]["digest"], *[layer["digest"] for layer in parsed["layers"]]]:
        for _ in dxf.pull_blob(digest):
            pass
        print(digest)
