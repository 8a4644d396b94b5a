"""Tests psycopg 3 with text and binary values, and pandas on top of it."""

import datetime
import decimal
import threading
import uuid
import warnings

import pandas
import psycopg

from common import CA, EXPECTED, POOR, POSTGRES, QUESTION, SHORT, TOKEN, check, refused

warnings.simplefilter("ignore")  # pandas warns that it prefers SQLAlchemy
HOST, PORT = POSTGRES.split(":")
WHO = dict(host=HOST, port=PORT, user="ada", password=TOKEN, dbname="trial", sslmode="verify-full", sslrootcert=CA)

with psycopg.connect(**WHO) as conn:
    notices = []
    conn.add_notice_handler(lambda d: notices.append(d.message_primary))
    for binary in False, True:
        check("rows", conn.execute(QUESTION, binary=binary).fetchall(), SHORT)
    check("the cost is told", any("cost: nothing, the same question was answered before" in n for n in notices))
    check("the intervals are told", any("95 % intervals: n ±" in n for n in notices))

    for written, sql, values in [
        ("SELECT COUNT(*) AS n FROM person WHERE year_of_birth >= 1970", "SELECT COUNT(*) AS n FROM person WHERE year_of_birth >= %s", (1970,)),
        ("SELECT COUNT(*) AS n FROM death WHERE death_date >= DATE '2020-01-01'", "SELECT COUNT(*) AS n FROM death WHERE death_date >= %s", (datetime.date(2020, 1, 1),)),
        ("SELECT COUNT(*) AS n FROM death WHERE death_date >= DATE '2020-01-01'", "SELECT COUNT(*) AS n FROM death WHERE death_date >= %s", ("2020-01-01",)),
        ("SELECT COUNT(*) AS n FROM person WHERE year_of_birth BETWEEN 1950 AND 1960", "SELECT COUNT(*) AS n FROM person WHERE year_of_birth BETWEEN %s AND %s", (1950, 1960)),
    ]:
        plain = conn.execute(written).fetchone()
        for _ in range(7):  # psycopg prepares a statement that is repeated often
            notices.clear()
            check(sql, conn.execute(sql, values).fetchone(), plain)
            check(sql + " is the same question", any("cost: nothing" in n for n in notices))

    for sql, state, text, position in [
        ("SELECT name FROM person", "0A000", "ROW_LEVEL", 8),
        ("SELECT COUNT(*) FROM persn", "42P01", "UNKNOWN_TABLE", 22),
        ("SELECT COUNT(*) + FROM person", "42601", "SYNTAX", None),
        ("SELECT 'é', COUNT(*) FROM persn", "42P01", "UNKNOWN_TABLE", 27),
    ]:
        try:
            conn.execute(sql)
            raise SystemExit(sql + " was not refused")
        except psycopg.Error as e:
            refused(sql, e, text)
            check(sql, e.sqlstate, state)
            if position:
                check(sql, int(e.diag.statement_position), position)
    check("an error ends nothing", conn.execute("SELECT 1").fetchone(), (1,))
    conn.commit()

    conn.execute("SET intervals = columns")
    frame = pandas.read_sql(QUESTION, conn)
    check("columns in pandas", list(frame.columns), ["gender_concept_id", "n", "n_low", "n_high"])
    check("rows in pandas", list(frame.itertuples(index=False, name=None)), EXPECTED)
    conn.execute("SET intervals = none")
    check("SHOW", conn.execute("SHOW intervals").fetchone(), ("none",))
    plan = "\n".join(r[0] for r in conn.execute("EXPLAIN " + QUESTION).fetchall())
    check("EXPLAIN", "epsilon 1" in plan)
    check("SHOW BUDGET", conn.execute("SHOW BUDGET").fetchone()[0], "study trial")
    check("DESCRIBE", ("death_date", "date") in [r[:2] for r in conn.execute("DESCRIBE death").fetchall()])
    conn.execute("SET epsilon = 1e10")
    try:
        conn.execute("SELECT COUNT(*) FROM death")
        raise SystemExit("epsilon above the cap was not refused")
    except psycopg.Error as e:
        refused("epsilon above the cap", e, "EPSILON_TOO_LARGE")
    conn.execute("RESET epsilon")

    # The questions that Grafana's editor and Superset's inspector (SQLAlchemy) send.
    tables = conn.execute("SELECT quote_ident(table_name) FROM information_schema.tables WHERE table_schema = ANY(current_schemas(false)) ORDER BY 1").fetchall()
    check("tables", ("person",) in tables)
    columns = conn.execute(
        "SELECT quote_ident(column_name) AS \"column\", data_type AS \"type\" FROM information_schema.columns WHERE quote_ident(table_name) = %s ORDER BY ordinal_position", ("death",)
    ).fetchall()
    check("columns", columns[:2], [("person_id", "bigint"), ("death_date", "date")])
    found = conn.execute(
        "SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace"
        " WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['r', 'p', 'f', 'v', 'm']) AND pg_catalog.pg_table_is_visible(pg_catalog.pg_class.oid) AND pg_catalog.pg_namespace.nspname != 'pg_catalog' AND relname = 'person'"
    ).fetchall()
    check("as SQLAlchemy asks", found, [("person",)])
    check("version", "PostgreSQL 15.0" in conn.execute("SELECT pg_catalog.version()").fetchone()[0])
    check("settings", conn.execute("SELECT current_setting('server_version_num')::int/100 AS version").fetchone()[0], 1500)

    # A named cursor reads an answer in parts and pays once. So does COPY, in text and in binary.
    with conn.cursor("answer") as cur:
        cur.execute(QUESTION)
        check("the cursor's columns", [d.name for d in cur.description], ["gender_concept_id", "n"])
        check("in parts", cur.fetchmany(1) + cur.fetchmany(1) + cur.fetchall(), SHORT)
    with conn.cursor("bound") as cur:
        cur.execute("SELECT COUNT(*) AS n FROM person WHERE year_of_birth >= %s", (1970,))
        check("a bound cursor", len(cur.fetchall()), 1)
    with conn.cursor() as cur, cur.copy("COPY (" + QUESTION + ") TO STDOUT") as copy:
        copy.set_types(["int8", "int8"])
        check("COPY", list(copy.rows()), SHORT)
    with conn.cursor() as cur, cur.copy("COPY (" + QUESTION + ") TO STDOUT (FORMAT binary)") as copy:
        copy.set_types(["int8", "int8"])
        check("COPY in binary", list(copy.rows()), SHORT)
    try:
        conn.execute("COPY person TO STDOUT")
        raise SystemExit("COPY of a table was not refused")
    except psycopg.Error as e:
        refused("COPY of a table", e, "NOT_SUPPORTED")
        check("COPY of a table", e.sqlstate, "0A000")

    # A parameter of each type, in text and in binary. Each question must equal the one with the value written out.
    person, death = "SELECT COUNT(*) AS n FROM person WHERE ", "SELECT COUNT(*) AS n FROM death WHERE "
    zone = datetime.timezone(datetime.timedelta(hours=2))
    for sql, literal, value in [
        (person + "gender_concept_id = ANY(?)", "'{}'", []),
        (person + "gender_concept_id = ANY(?)", "'{8507,NULL}'", [8507, None]),
        (person + "gender_concept_id <> ALL(?)", "'{8507}'", [8507]),
        (person + "gender_source_value = ANY(?)", "'{F,M}'", ["F", "M"]),
        (death + "death_date = ANY(?)", "'{2020-02-29}'", [datetime.date(2020, 2, 29)]),
        (death + "death_date >= ?", "DATE '2020-01-01'", datetime.date(2020, 1, 1)),
        (death + "death_datetime >= ?", "TIMESTAMP '2019-12-31 22:00:00'", datetime.datetime(2020, 1, 1, tzinfo=zone)),
        (person + "person_source_value = ?", "'00000000-0000-0000-0000-00000000002a'", uuid.UUID(int=42)),
        ("SELECT COUNT(*) AS n FROM measurement WHERE value_as_number >= ?", "12.5", decimal.Decimal("12.50")),
    ]:
        written = conn.execute(sql.replace("?", literal)).fetchone()
        for mark in "%t", "%b":
            notices.clear()
            check(sql + mark, conn.execute(sql.replace("?", mark), (value,)).fetchone(), written)
            check(sql + mark + " is the same question", any("cost: nothing" in n for n in notices))
    for value, text in [(b"x", "as bytea"), (datetime.timedelta(days=1), "as interval"), (float("nan"), "no finite number"), (decimal.Decimal("NaN"), "no finite number")]:
        for mark in "%t", "%b":
            try:
                conn.execute(person + "year_of_birth >= " + mark, (value,))
                raise SystemExit(f"{value} was not refused")
            except psycopg.Error as e:
                refused(f"{value}", e, "the parameter $1 is", text)
    try:
        with conn.cursor() as cur, cur.copy("COPY person FROM STDIN (FORMAT binary)"):
            raise SystemExit("COPY into a table was not refused")
    except psycopg.Error as e:
        refused("COPY into a table", e, "NOT_SUPPORTED", "nothing is written here")

    # A pipeline of questions, one of which is wrong.
    with conn.pipeline():
        first, second = conn.execute(person + "year_of_birth >= %s", (1970,)), conn.execute(person + "year_of_birth BETWEEN %s AND %s", (1950, 1960))
        piped = first.fetchone(), second.fetchone()
        try:
            conn.execute("SELECT COUNT(*) FROM persn").fetchone()
            raise SystemExit("a wrong question in a pipeline was not refused")
        except psycopg.Error as e:
            check("in a pipeline", e.sqlstate, "42P01")
    check("pipelined", piped, (conn.execute(person + "year_of_birth >= 1970").fetchone(), conn.execute(person + "year_of_birth BETWEEN 1950 AND 1960").fetchone()))

    # A list is a single parameter.
    check("= ANY(list)", len(conn.execute("SELECT gender_concept_id, COUNT(*) AS n FROM person WHERE gender_concept_id = ANY(%s) GROUP BY 1", ([8507, 8532],)).fetchall()), 2)

    # A canceled query ends. The connection can still be used.
    threading.Timer(0.001, conn.cancel).start()
    conn.execute("SET epsilon = 0.37")
    try:
        conn.execute("SELECT COUNT(*) AS n FROM measurement")
    except psycopg.Error as e:
        check("canceled", e.sqlstate, "57014")
    check("after that", conn.execute("SELECT 1").fetchone(), (1,))

# libpq 18 can start with direct TLS, with channel binding, or with a later version of the protocol.
for how in [
    dict(sslnegotiation="direct"),
    dict(sslnegotiation="direct", channel_binding="require", require_auth="scram-sha-256"),
    dict(max_protocol_version="3.2"),
    dict(max_protocol_version="latest", gssencmode="prefer"),
]:
    with psycopg.connect(**WHO, **how) as conn:
        check(str(how), conn.execute("SELECT 1").fetchone(), (1,))
        conn.cancel_safe()
        check(f"{how}, after a cancel of nothing", conn.execute("SELECT 1").fetchone(), (1,))

for what, change, text in [
    ("wrong token", dict(password="x" * 20), "UNAUTHORIZED"),
    ("somebody else's token", dict(user="bob"), "UNAUTHORIZED"),
    ("no such study", dict(dbname="nothing"), "STUDY_UNKNOWN"),
    ("no TLS", dict(sslmode="disable"), "without TLS"),
]:
    try:
        psycopg.connect(**{**WHO, **change}).close()
        raise SystemExit(what + " was not refused")
    except psycopg.Error as e:
        refused(what, e, text)
with psycopg.connect(**{**WHO, "user": "poor", "password": POOR}) as conn:
    try:
        conn.execute("SELECT COUNT(*) FROM death")
        raise SystemExit("a query without budget was answered")
    except psycopg.Error as e:
        refused("no budget", e, "BUDGET_EXHAUSTED")
print("ok")
