"""Tests pgAdmin 4 through the requests that its pages send: opens the whole tree and asks with the query tool."""

import builtins
import json
import logging
import os
import sys
import tempfile
import time
import warnings

from common import CA, POSTGRES, QUESTION, SHORT, TOKEN, check, refused

warnings.simplefilter("ignore")
home = tempfile.TemporaryDirectory()
os.environ["HOME"] = home.name  # pgAdmin keeps its settings there
builtins.SERVER_MODE = False  # desktop mode: nobody signs in to pgAdmin itself
import pgadmin4  # noqa: E402

sys.path.insert(0, list(pgadmin4.__path__)[0])
import config  # noqa: E402

config.CONSOLE_LOG_LEVEL = config.FILE_LOG_LEVEL = logging.CRITICAL
config.MASTER_PASSWORD_REQUIRED = config.USE_OS_SECRET_STORAGE = config.UPGRADE_CHECK_ENABLED = config.ENHANCED_COOKIE_PROTECTION = False
out, sys.stdout = sys.stdout, open(os.devnull, "w")  # hides its greeting
from pgAdmin4 import app  # noqa: E402

sys.stdout = out
app.config["WTF_CSRF_ENABLED"] = False  # no page holds the token
client = app.test_client()


def call(method, path, body=None, fails=False):
    answer = client.open(path, method=method, data=None if body is None else json.dumps(body), content_type="application/json")
    told = answer.get_json(silent=True)
    if answer.status_code == 406:  # pgAdmin has no such tab for this kind
        return {}
    if told is None or answer.status_code != 200 and not fails:
        raise SystemExit(f"{method} {path}: {answer.status_code} {answer.get_data(as_text=True)[:500]}")
    return told


host, port = POSTGRES.split(":")
params = [{"name": "sslmode", "value": "verify-full"}, {"name": "sslrootcert", "value": CA}]
made = call("POST", "/browser/server/obj/1/", {"name": "federation", "host": host, "port": int(port), "db": "trial", "username": "ada", "gid": 1, "connection_params": params})
server = "1/" + made["node"]["_id"]
check("connected", call("POST", "/browser/server/connect/" + server, {"password": TOKEN})["data"]["connected"])

rules = [rule.rule for rule in app.url_map.iter_rules()]
seen = {}  # by kind and name: what the tabs show


def listed(kind, path):
    return call("GET", f"/browser/{kind}/nodes/{path}/").get("data") or []


def click(kind, path):
    """Asks what the tabs of an object ask: its properties, SQL, statistics, dependencies and dependents."""
    tabs = [tab for tab in ("obj", "sql", "stats", "dependency", "dependent") if any(r.startswith(f"/browser/{kind}/{tab}/") for r in rules)]
    return {tab: call("GET", f"/browser/{kind}/{tab}/{path}") for tab in tabs}


def open_all(kind, path):
    """Opens each list below an object and its first two entries. Of schemas only public, of tables only death."""
    for child in call("GET", f"/browser/{kind}/children/{path}").get("data") or []:
        if not child["_type"].startswith("coll-"):
            continue
        one = child["_type"][5:]
        nodes = listed(one, path)
        call("GET", f"/browser/{one}/obj/{path}/")
        shown = seen.setdefault(one, {n["label"]: {} for n in nodes})
        for n in [n for n in nodes if n["label"] == {"schema": "public", "table": "death"}.get(one, n["label"])][:2]:
            here = f"{path}/{n['_id']}"
            if one == "database":
                call("POST", "/browser/database/connect/" + here)
            shown[n["label"]] = {"path": here, **click(n["_type"], here)}
            open_all(n["_type"], here)


open_all("server", server)
check("databases", list(seen["database"]), ["trial"])
check("roles", "ada" in seen["role"])
check("tables", {"person", "death", "measurement"} <= set(seen["table"]))
check("columns", list(seen["column"])[:2], ["person_id", "death_date"])
check("a column's type", seen["column"]["death_date"]["obj"]["cltype"], "date")
check("keys", {"death_person_id_fkey"} <= set(seen["constraints"]) and {"death_pkey"} <= set(seen["index"]))
check("a table's SQL", "death_date date NOT NULL" in seen["table"]["death"]["sql"], True)
check("nothing else", [k for k in ("view", "mview", "function", "trigger", "sequence", "extension", "type") if seen[k]], [])

# The query tool. Its page polls for the answer, and so does this.
did = seen["database"]["trial"]["path"].split("/")[-1]
call("POST", f"/sqleditor/initialize/sqleditor/7/{server}/{did}", {"dbname": "trial"})


def ask(sql):
    call("POST", "/sqleditor/query_tool/start/7", {"sql": sql, "explain_plan": None})
    end = time.monotonic() + 60
    while time.monotonic() < end:
        told = call("GET", "/sqleditor/poll/7", fails=True)
        if told["data"].get("status") != "Busy":
            return told
        time.sleep(0.02)
    raise SystemExit(sql + " is not answered")


told = ask(QUESTION)
check("names", [c["name"] for c in told["data"]["colinfo"]], ["gender_concept_id", "n"])
check("types", {t["typname"] for t in told["data"]["types"]}, {"bigint"})
check("rows", [tuple(int(v) for v in row) for row in told["data"]["result"]], SHORT)
refused("the cost", told["data"]["additional_messages"], "cost: nothing, the same question was answered before")
refused("an error", ask("SELECT COUNT(*) FROM persn")["errormsg"], "UNKNOWN_TABLE", "did you mean person?", "SQL state: 42P01")
check("after that", ask("SELECT 1")["data"]["result"], [[1]])

# View/Edit Data of a table would show rows, so it is refused.
person = next(n["_id"] for n in listed("table", seen["schema"]["public"]["path"]) if n["label"] == "person")
call("POST", f"/sqleditor/initialize/viewdata/8/3/table/{server}/{did}/{person}", {"dbname": "trial"})
refused("rows", call("GET", "/sqleditor/view_data/start/8")["data"]["result"], "ROW_LEVEL")
call("DELETE", "/browser/server/connect/" + server)
print("ok")
