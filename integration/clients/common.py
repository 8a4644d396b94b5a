"""Holds what the Python clients share. The test that starts them sets the environment."""

import json
import os

FLIGHT, POSTGRES = os.environ["CLIENT_FLIGHT"], os.environ["CLIENT_POSTGRES"]
CA, TOKEN = os.environ["CLIENT_CA"], os.environ["CLIENT_TOKEN"]
POOR = os.environ["CLIENT_POOR"]  # the token of the user poor, who has no budget
QUESTION = "SELECT gender_concept_id, COUNT(*) AS n FROM person GROUP BY 1 ORDER BY 1"
# The HTTP API's answer to QUESTION: rows of key, value, low, high.
EXPECTED = [tuple(row) for row in json.loads(os.environ["CLIENT_EXPECTED"])]
SHORT = [row[:2] for row in EXPECTED]


def check(what, got, want=True):
    if got != want:
        raise SystemExit(f"{what}: got {got!r}, not {want!r}")


def refused(what, error, *texts):
    """Checks that an error contains all of these texts."""
    for text in texts:
        if text not in str(error):
            raise SystemExit(f"{what}: {error!s} does not say {text!r}")
# A question with the parameters ?1, which is a list, and ?2, and its answer.
MIXED, MIXED_ROWS = os.environ.get("CLIENT_MIXED", ""), json.loads(os.environ.get("CLIENT_MIXED_ROWS", "[]"))
