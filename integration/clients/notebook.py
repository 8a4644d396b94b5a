"""Runs each cell of a notebook. The test's names of server, person and study replace the notebook's."""

import os
import sys
import tempfile

import nbclient
import nbformat

from common import CA, FLIGHT, TOKEN

notebook = nbformat.read(sys.argv[1], as_version=4)
for cell in notebook.cells:
    for name, ours in {"query.example.org:8815": FLIGHT, "alice": "ada", "diabetes-2027": "trial"}.items():
        cell.source = cell.source.replace(name, ours)
with tempfile.TemporaryDirectory() as folder:
    for name, text in {"ca.pem": open(CA).read(), "token": TOKEN}.items():
        with open(os.path.join(folder, name), "w") as f:
            f.write(text)
    nbclient.NotebookClient(notebook, timeout=60, resources={"metadata": {"path": folder}}).execute()
print("ok")
