"""Asks a question that never ends. Cancels it in the client's own way when standard input says so."""

import asyncio
import os
import ssl
import sys
import threading

import adbc_driver_manager
import asyncpg
import psycopg
import psycopg2
from adbc_driver_flightsql import DatabaseOptions, dbapi

from common import CA, FLIGHT, POSTGRES, TOKEN, check

SLOW, QUICK = os.environ["CLIENT_SLOW"], os.environ["CLIENT_QUICK"]
HOST, PORT = POSTGRES.split(":")
WHO = dict(host=HOST, port=PORT, user="ada", password=TOKEN, dbname="trial", sslmode="verify-full", sslrootcert=CA)


def canceled(cursor, cancel, error, told):
    """Checks that the question ends with the error and that the connection can still be used."""

    def wait():
        sys.stdin.readline()
        cancel()

    threading.Thread(target=wait).start()
    try:
        cursor.execute(SLOW)
        cursor.fetchall()
        raise SystemExit("the question was answered")
    except error as e:
        check("the error: " + str(e), told(e))
    cursor.execute(QUICK)
    check("after that", len(cursor.fetchall()) > 0)


async def given_up():
    """Checks that asyncpg cancels a question when its task is cancelled."""
    context = ssl.create_default_context(cafile=CA)
    conn = await asyncpg.connect(host=HOST, port=int(PORT), user="ada", password=TOKEN, database="trial", ssl=context)
    asked = asyncio.create_task(conn.fetch(SLOW))
    await asyncio.to_thread(sys.stdin.readline)
    asked.cancel()
    try:
        await asked
        raise SystemExit("the question was answered")
    except asyncio.CancelledError:
        check("after that", len(await conn.fetch(QUICK)) > 0)
    await conn.close()


client = sys.argv[1]
if client == "adbc":
    options = {
        DatabaseOptions.TLS_ROOT_CERTS.value: open(CA).read(),
        DatabaseOptions.AUTHORIZATION_HEADER.value: "Bearer " + TOKEN,
        DatabaseOptions.RPC_CALL_HEADER_PREFIX.value + "study": "trial",
    }
    with dbapi.connect("grpc+tls://" + FLIGHT, options, autocommit=True) as conn, conn.cursor() as cur:
        canceled(cur, cur.adbc_cancel, adbc_driver_manager.Error, lambda e: "cancel" in str(e).lower())
elif client == "psycopg":
    with psycopg.connect(**WHO, autocommit=True) as conn, conn.cursor() as cur:
        canceled(cur, conn.cancel_safe, psycopg.errors.QueryCanceled, lambda e: "CANCELED" in str(e))
elif client == "psycopg2":
    conn = psycopg2.connect(**WHO)
    conn.autocommit = True
    with conn.cursor() as cur:
        canceled(cur, conn.cancel, psycopg2.errors.QueryCanceled, lambda e: "CANCELED" in str(e))
    conn.close()
elif client == "asyncpg":
    asyncio.run(given_up())
elif client == "odbc":
    import pyodbc

    conn = pyodbc.connect(
        f"Driver={{PostgreSQL Unicode}};Servername={HOST};Port={PORT};Database=trial;UID=ada;PWD={TOKEN};SSLmode=verify-full;pqopt={{sslrootcert={CA}}}", autocommit=True
    )
    cur = conn.cursor()
    canceled(cur, cur.cancel, pyodbc.Error, lambda e: "CANCELED" in str(e))
elif client == "adbc-postgres":
    import adbc_driver_postgresql.dbapi as driver

    with driver.connect(f"postgresql://ada:{TOKEN}@{POSTGRES}/trial?sslmode=verify-full&sslrootcert={CA}", autocommit=True) as conn, conn.cursor() as cur:
        canceled(cur, cur.adbc_cancel, adbc_driver_manager.Error, lambda e: "cancel" in str(e).lower())
print("ok")
