"""Tests one more driver of PostgreSQL's protocol, given by name. All drivers must pass the same checks."""

import asyncio
import datetime
import decimal
import ssl
import sys

from common import CA, MIXED, MIXED_ROWS, POSTGRES, TOKEN, check, refused

HOST, PORT = POSTGRES.split(":")
CODES, YEAR = [8507, 8532], 1950
COLUMNS = ("death", ["person_id", "death_date"])
DATED = "SELECT COUNT(*) AS n FROM death WHERE death_date >= %s"
WEIGHED = "SELECT COUNT(*) AS n FROM measurement WHERE value_as_number >= %s"
URI = f"postgresql://ada:{TOKEN}@{HOST}:{PORT}/trial"


def same(what, rows):
    """Checks an answer that contains an integer beyond 2^53, a date, a NULL, a fraction and a noisy number."""
    plain = [[float(v) if isinstance(v, decimal.Decimal) else v.isoformat()[:10] if hasattr(v, "isoformat") else v for v in row] for row in rows]
    check(what, plain, MIXED_ROWS)


async def with_asyncpg():
    import asyncpg

    context = ssl.create_default_context(cafile=CA)
    async with asyncpg.create_pool(host=HOST, port=int(PORT), user="ada", password=TOKEN, database="trial", ssl=context, min_size=1, max_size=2) as pool:
        same("a list", [list(r) for r in await pool.fetch(MIXED.replace("?1", "$1").replace("?2", "$2"), CODES, YEAR)])
        found = await pool.fetch("SELECT column_name FROM information_schema.columns WHERE table_name = $1 ORDER BY ordinal_position LIMIT 2", COLUMNS[0])
        check("columns", [r[0] for r in found], COLUMNS[1])
        async with pool.acquire() as conn:
            dated = await conn.fetchval(DATED.replace("%s", "$1"), datetime.date(2020, 1, 1))
            check("a date", dated, await conn.fetchval(DATED.replace("%s", "DATE '2020-01-01'")))
            weighed = await conn.fetchval(WEIGHED.replace("%s", "$1"), 12.5)
            check("a number", weighed, await conn.fetchval(WEIGHED.replace("%s", "12.5")))
            async with conn.transaction():
                cursor = await conn.cursor(MIXED.replace("?1", "$1").replace("?2", "$2"), CODES, YEAR)
                check("a cursor", len(await cursor.fetch(1) + await cursor.fetch(5)), len(MIXED_ROWS))
            try:
                await conn.fetch("SELECT COUNT(*) FROM persn")
                raise SystemExit("not refused")
            except asyncpg.UndefinedTableError as e:
                refused("an error", f"{e} {e.hint} {e.position}", "UNKNOWN_TABLE", "did you mean person?", "22")
            check("what is copied", (await copied(conn)).count(b"\n"), len(MIXED_ROWS))


async def copied(conn):
    import io

    out = io.BytesIO()
    await conn.copy_from_query(MIXED.replace("?1", "'{8507,8532}'").replace("?2", "1950"), output=out)
    return out.getvalue()


def dbapi(conn, mark, error, hinted=True):
    """Checks a driver that follows Python's DB-API."""
    one, two = mark
    cur = conn.cursor()
    cur.execute(MIXED.replace("?1", one).replace("?2", two), (CODES, YEAR))
    same("a list", cur.fetchall())
    numbers(cur, one, error, hinted)


def numbers(cur, mark, error, hinted=True):
    for what, sql, literal, value in [
        ("a date", DATED, "DATE '2020-01-01'", datetime.date(2020, 1, 1)),
        ("a decimal", WEIGHED, "12.5", decimal.Decimal("12.50")),
    ]:
        cur.execute(sql.replace("%s", literal))
        right = cur.fetchone()
        cur.execute(sql.replace("%s", mark), (value,))
        check(what, tuple(cur.fetchone()), tuple(right))
    try:
        cur.execute("SELECT COUNT(*) FROM persn")
        raise SystemExit("not refused")
    except error as e:
        refused("an error", e, "UNKNOWN_TABLE", *(["did you mean person?"] if hinted else []))


def with_psycopg2():
    import psycopg2

    conn = psycopg2.connect(f"{URI}?sslmode=verify-full&sslrootcert={CA}&channel_binding=require")
    conn.autocommit = True
    dbapi(conn, ("%s", "%s"), psycopg2.errors.UndefinedTable)
    cur = conn.cursor()
    cur.execute("SELECT gender_concept_id, COUNT(*) AS n FROM person WHERE gender_concept_id IN %s GROUP BY 1", (tuple(CODES),))
    check("IN", len(cur.fetchall()), 2)
    zone = datetime.timezone(datetime.timedelta(hours=2))
    for sql, literal, value in [
        ("SELECT COUNT(*) AS n FROM death WHERE death_datetime >= %s", "TIMESTAMP '2019-12-31 22:00:00'", datetime.datetime(2020, 1, 1, tzinfo=zone)),
        ("SELECT COUNT(*) AS n FROM death WHERE death_date >= DATE '2020-01-01' + %s", "INTERVAL '3 days'", datetime.timedelta(days=3)),
        ("SELECT COUNT(*) AS n FROM person WHERE gender_concept_id = ANY(%s)", "'{}'", []),
        ("SELECT COUNT(*) AS n FROM person WHERE gender_concept_id = ANY(%s)", "'{8507,NULL}'", [8507, None]),
    ]:
        cur.execute(sql % literal)
        right = cur.fetchone()
        cur.execute(sql, (value,))
        check(sql, cur.fetchone(), right)
    conn.close()


def with_adbc():
    import adbc_driver_manager
    import adbc_driver_postgresql.dbapi as driver

    with driver.connect(f"{URI}?sslmode=verify-full&sslrootcert={CA}", autocommit=True) as conn, conn.cursor() as cur:
        cur.execute(MIXED.replace("?1", "'{8507,8532}'").replace("?2", "1950"))
        same("arrow", [list(r.values()) for r in cur.fetch_arrow_table().to_pylist()])
        cur.execute(DATED.replace("%s", "$1"), (datetime.date(2020, 1, 1),))
        dated = cur.fetchone()
        cur.execute(DATED.replace("%s", "DATE '2020-01-01'"))
        check("a date", dated, cur.fetchone())
        schema = conn.adbc_get_table_schema("death")
        check("columns", schema.names[:2], COLUMNS[1])
        objects = conn.adbc_get_objects(depth="tables", table_name_filter="death").read_all().to_pylist()
        check("tables", "death" in str(objects))
        try:
            cur.execute("SELECT COUNT(*) FROM persn")
            raise SystemExit("not refused")
        except adbc_driver_manager.Error as e:
            refused("an error", e, "UNKNOWN_TABLE")


def with_connectorx():
    import connectorx
    import polars

    uri = f"{URI}?sslmode=require&sslrootcert={CA}"
    sql = MIXED.replace("?1", "'{8507,8532}'").replace("?2", "1950")
    same("polars", [list(r) for r in polars.read_database_uri(sql, uri).rows()])
    for protocol in "binary", "csv", "cursor", "simple":
        frame = connectorx.read_sql(uri, sql, protocol=protocol, return_type="polars")
        same(protocol, [list(r) for r in frame.rows()])
    try:
        polars.read_database_uri("SELECT COUNT(*) FROM persn", uri)
        raise SystemExit("not refused")
    except RuntimeError as e:
        refused("an error", e, "UNKNOWN_TABLE")


def with_odbc():
    import pyodbc

    conn = pyodbc.connect(
        f"Driver={{PostgreSQL Unicode}};Servername={HOST};Port={PORT};Database=trial;UID=ada;PWD={TOKEN};SSLmode=verify-full;pqopt={{sslrootcert={CA}}}",
        autocommit=True,
    )
    cur = conn.cursor()
    check("tables", "person" in [r.table_name for r in cur.tables()])
    check("columns", [r.column_name for r in cur.columns(table="death")][:2], COLUMNS[1])
    check("keys", [r.column_name for r in cur.primaryKeys("person")], ["person_id"])
    cur.execute(MIXED.replace("?1", "'{8507,8532}'").replace("?2", "?"), (YEAR,))
    same("rows", cur.fetchall())
    numbers(cur, "?", pyodbc.Error, hinted=False)
    conn.close()


run = globals()["with_" + sys.argv[1]]
asyncio.run(run()) if asyncio.iscoroutinefunction(run) else run()
print("ok")
