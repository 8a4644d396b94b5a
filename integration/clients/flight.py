"""Tests ADBC's Flight SQL driver, with pyarrow, pandas and polars."""

import datetime
import decimal
import json
import threading
import time

import adbc_driver_manager
import pandas
import polars
import pyarrow
from adbc_driver_flightsql import DatabaseOptions, dbapi

from common import CA, EXPECTED, FLIGHT, POOR, QUESTION, SHORT, TOKEN, check, refused

HEADER = DatabaseOptions.RPC_CALL_HEADER_PREFIX.value
TLS = {DatabaseOptions.TLS_ROOT_CERTS.value: open(CA).read()}
BEARER = {DatabaseOptions.AUTHORIZATION_HEADER.value: "Bearer " + TOKEN}


def connect(**options):
    return dbapi.connect("grpc+tls://" + FLIGHT, {**TLS, **BEARER, HEADER + "study": "trial", **options})


with connect() as conn, conn.cursor() as cur:
    cur.execute(QUESTION)
    table = cur.fetch_arrow_table()
    check("rows", [tuple(r.values()) for r in table.to_pylist()], SHORT)
    check("types", table.schema.types, [pyarrow.int64(), pyarrow.int64()])
    facts = json.loads(table.schema.metadata[b"intramuros.answer"])
    check("stored before", facts["stored"])
    check("cost of what was stored", facts["cost"]["epsilon"], 0)
    check("what is left is told", facts["remaining"]["epsilon"] > 0)
    meta = table.schema.field("n").metadata
    check("low ends in the metadata", json.loads(meta[b"intramuros.low"]), [r[2] for r in EXPECTED])
    check("confidence", meta[b"intramuros.confidence"], b"0.95")
    check("noisy", (meta[b"intramuros.noisy"], table.schema.field(0).metadata[b"intramuros.noisy"]), (b"true", b"false"))

    # A plan is free. It says what the answer will cost.
    before = facts["remaining"]
    schema = cur.adbc_execute_schema("SELECT COUNT(*) AS n FROM death")
    check("schema without running", schema.names, ["n"])
    check("price", json.loads(schema.metadata[b"intramuros.plan"])["cost"]["epsilon"], 1.0)
    cur.execute(QUESTION)
    check("planning cost nothing", json.loads(cur.fetch_arrow_table().schema.metadata[b"intramuros.answer"])["remaining"], before)

    cur.execute("SELECT 1")  # connection pools test a connection with it
    check("SELECT 1", cur.fetchall(), [(1,)])

    # A parameter of each type. Each question must equal the one with the value written out.
    for written, sql, values in [
        ("SELECT COUNT(*) AS n FROM person WHERE year_of_birth >= 1970", "SELECT COUNT(*) AS n FROM person WHERE year_of_birth >= ?", (1970,)),
        ("SELECT COUNT(*) AS n FROM death WHERE death_date >= DATE '2020-01-01'", "SELECT COUNT(*) AS n FROM death WHERE death_date >= ?", (datetime.date(2020, 1, 1),)),
        ("SELECT COUNT(*) AS n FROM death WHERE death_date >= DATE '2020-01-01'", "SELECT COUNT(*) AS n FROM death WHERE death_date >= ?", ("2020-01-01",)),
        ("SELECT COUNT(*) AS n FROM person WHERE year_of_birth >= 1970", "SELECT COUNT(*) AS n FROM person WHERE year_of_birth >= ?", (decimal.Decimal(1970),)),
        ("SELECT COUNT(*) AS n FROM person WHERE year_of_birth IN (1970, 1980)", "SELECT COUNT(*) AS n FROM person WHERE year_of_birth = ANY(?)", ([1970, 1980],)),
        ("SELECT COUNT(*) AS n FROM person WHERE year_of_birth BETWEEN 1950 AND 1960", "SELECT COUNT(*) AS n FROM person WHERE year_of_birth BETWEEN $1 AND $2", (1950, 1960)),
    ]:
        cur.execute(written)
        plain = cur.fetchone()
        cur.execute(sql, values)
        bound = cur.fetch_arrow_table()
        check(sql, tuple(bound.to_pylist()[0].values()), plain)
        check(sql + " is the same question", json.loads(bound.schema.metadata[b"intramuros.answer"])["stored"])

    # An error has a code, a position and a hint. Nothing is charged.
    for sql, *texts in [
        ("SELECT name FROM person", "ROW_LEVEL at line 1, column 8", "GROUP BY"),
        ("SELECT 1 +", "SYNTAX at line 1"),
        ("SELECT COUNT(*) FROM persn", "UNKNOWN_TABLE at line 1, column 22"),
        ("DELETE FROM person", "line 1, column 1"),
    ]:
        try:
            cur.execute(sql)
            raise SystemExit(sql + " was not refused")
        except adbc_driver_manager.Error as e:
            refused(sql, e, *texts)
    conn.commit()  # accepted

    # Statements that write are refused with a message, and so are values of types that parameters cannot have.
    for what, write in [
        ("an update", lambda: (cur.adbc_statement.set_sql_query("DELETE FROM person"), cur.adbc_statement.execute_update())),
        ("executemany", lambda: cur.executemany("SELECT COUNT(*) AS n FROM person WHERE year_of_birth >= $1", [(1950,), (1960,)])),
        ("a table's ingestion", lambda: cur.adbc_ingest("mine", pyarrow.table({"a": [1]}), mode="create")),
    ]:
        try:
            write()
            raise SystemExit(what + " was not refused")
        except adbc_driver_manager.Error as e:
            refused(what, e, "a federation is only read")
    for value, text in [(float("nan"), "is no finite number"), (b"x", "of the type binary"), (datetime.timedelta(days=1), "of the type duration")]:
        try:
            cur.execute("SELECT COUNT(*) AS n FROM person WHERE year_of_birth >= $1", (value,))
            raise SystemExit(f"{value} was not refused")
        except adbc_driver_manager.Error as e:
            refused(f"{value}", e, "the parameter 1 is", text)
    for literal, values in [("'{}'", pyarrow.array([[]], pyarrow.list_(pyarrow.int64()))), ("'{8507,NULL}'", pyarrow.array([[8507, None]]))]:
        cur.execute(f"SELECT COUNT(*) AS n FROM person WHERE gender_concept_id = ANY({literal})")
        plain = cur.fetchone()
        cur.execute("SELECT COUNT(*) AS n FROM person WHERE gender_concept_id = ANY($1)", pyarrow.record_batch([values], names=["1"]))
        check(literal, cur.fetchone(), plain)

    # Tools read this metadata.
    check("vendor", conn.adbc_get_info()["vendor_name"], "Intramuros")
    check("table types", conn.adbc_get_table_types(), ["TABLE"])
    check("a table's schema", conn.adbc_get_table_schema("person").field("year_of_birth").type, pyarrow.int64())
    catalog = conn.adbc_get_objects(depth="catalogs").read_all().to_pylist()
    check("catalogs", [c["catalog_db_schemas"] for c in catalog], [None])
    schemas = conn.adbc_get_objects(depth="db_schemas").read_all().to_pylist()
    check("schemas", schemas[0]["catalog_db_schemas"], [{"db_schema_name": "public", "db_schema_tables": None}])
    found = conn.adbc_get_objects(depth="tables", table_name_filter="dea%", table_types_filter=["TABLE"]).read_all().to_pylist()
    check("tables", [(t["table_name"], t["table_type"], t["table_columns"]) for t in found[0]["catalog_db_schemas"][0]["db_schema_tables"]], [("death", "TABLE", None)])
    found = conn.adbc_get_objects(depth="columns", table_name_filter="death", column_name_filter="death_d%").read_all().to_pylist()
    check("columns", [(c["column_name"], c["ordinal_position"], c["xdbc_type_name"]) for c in found[0]["catalog_db_schemas"][0]["db_schema_tables"][0]["table_columns"]], [("death_date", 2, "DATE"), ("death_datetime", 3, "TIMESTAMP")])
    check("none of another schema", conn.adbc_get_objects(depth="all", db_schema_filter="x").read_all().to_pylist()[0]["catalog_db_schemas"], [])
    objects = conn.adbc_get_objects(depth="all").read_all().to_pylist()
    tables = {t["table_name"]: t for t in objects[0]["catalog_db_schemas"][0]["db_schema_tables"]}
    check("columns of death", [c["column_name"] for c in tables["death"]["table_columns"]][:2], ["person_id", "death_date"])

# A user name and token replace the bearer token. Intervals come as columns. pandas and polars read the answers.
user = {"username": "ada", "password": TOKEN}
with dbapi.connect("grpc+tls://" + FLIGHT, {**TLS, **user, HEADER + "study": "trial", HEADER + "intervals": "columns"}) as conn:
    frame = pandas.read_sql(QUESTION, conn)
    check("columns in pandas", list(frame.columns), ["gender_concept_id", "n", "n_low", "n_high"])
    check("rows in pandas", list(frame.itertuples(index=False, name=None)), EXPECTED)
    check("rows in polars", polars.read_database(QUESTION, conn).rows(), EXPECTED)

for what, options, text in [
    ("wrong token", {DatabaseOptions.AUTHORIZATION_HEADER.value: "Bearer " + "x" * 20}, "UNAUTHORIZED"),
    ("no such study", {HEADER + "study": "nothing"}, "STUDY_UNKNOWN"),
    ("epsilon above the cap", {HEADER + "epsilon": "1e10"}, "EPSILON_TOO_LARGE"),
    ("no budget", {DatabaseOptions.AUTHORIZATION_HEADER.value: "Bearer " + POOR}, "BUDGET_EXHAUSTED"),
    ("a setting that is none", {HEADER + "epsilon": "much"}, "INVALID_REQUEST"),
]:
    try:
        with connect(**options) as conn, conn.cursor() as cur:
            cur.execute("SELECT COUNT(*) AS n FROM death")
            cur.fetchall()
        raise SystemExit(what + " was not refused")
    except adbc_driver_manager.Error as e:
        refused(what, e, text)

# A canceled query ends at once.
with connect(**{HEADER + "epsilon": "0.37"}) as conn, conn.cursor() as cur:
    threading.Timer(0.001, cur.adbc_cancel).start()
    began = time.monotonic()
    try:
        cur.execute("SELECT COUNT(*) AS n FROM measurement")
        cur.fetchall()
    except adbc_driver_manager.Error as e:
        refused("canceled", e, "CANCEL")
    check("canceled in time", time.monotonic() - began < 10)
print("ok")
