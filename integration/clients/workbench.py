"""Tests harlequin through its adapter, which its windows call."""

from harlequin.exception import HarlequinQueryError
from harlequin_postgres import HarlequinPostgresAdapter

from common import CA, POSTGRES, QUESTION, SHORT, TOKEN, check, refused

conn = HarlequinPostgresAdapter(conn_str=(f"postgresql://ada:{TOKEN}@{POSTGRES}/trial?sslmode=verify-full&sslrootcert={CA}",)).connect()
check("databases", [d.label for d in conn.get_catalog().items], ["trial"])


def below(item):
    return item.children or item.fetch_children()


schemas = {s.label: s for s in below(conn.get_catalog().items[0])}
tables = {t.label: t for t in below(schemas["public"])}
check("tables", {"person", "death"} <= set(tables))
check("a column", "death_date" in [c.label for c in below(tables["death"])])
cursor = conn.execute(QUESTION)
check("names", [name for name, _ in cursor.columns()], ["gender_concept_id", "n"])
check("rows", [tuple(r) for r in cursor.fetchall()], SHORT)
try:
    conn.execute("SELECT COUNT(*) FROM persn")
    raise SystemExit("not refused")
except HarlequinQueryError as e:
    refused("an error", e, "UNKNOWN_TABLE", "did you mean person?")
check("words to complete", len(conn.get_completions()) > 100)
conn.close()
print("ok")
