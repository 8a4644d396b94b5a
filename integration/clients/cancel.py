"""Asks a question that never ends, and cancels it as the client does, once standard input says so."""

import os
import sys
import threading

import adbc_driver_manager
import psycopg
import psycopg2
from adbc_driver_flightsql import DatabaseOptions, dbapi

from common import CA, FLIGHT, POSTGRES, TOKEN, check

SLOW, QUICK = os.environ["CLIENT_SLOW"], os.environ["CLIENT_QUICK"]
HOST, PORT = POSTGRES.split(":")
WHO = dict(host=HOST, port=PORT, user="ada", password=TOKEN, dbname="trial", sslmode="verify-full", sslrootcert=CA)


def canceled(cursor, cancel, error, told):
    """The question ends with the error, and the connection goes on."""

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
print("ok")
