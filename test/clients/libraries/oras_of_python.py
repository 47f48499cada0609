"""Pulls an image with oras of Python. See libraries.ts for what it is told and what it prints."""

import os
import sys
import tempfile

import oras.client

reference = sys.argv[1]
key = os.environ.get("KEY")
client = oras.client.OrasClient(insecure="CA" not in os.environ, auth_backend="token")
if key is not None:
    client.auth.set_basic_auth("anyone", key)
with tempfile.TemporaryDirectory() as directory:
    for file in client.pull(reference, outdir=directory):
        print(os.path.basename(file))
