"""Tests SQLAlchemy over psycopg and psycopg2: reads the catalog as Superset does, and asks questions through pandas."""

import warnings

import pandas
import sqlalchemy
from sqlalchemy import func, select

from common import CA, EXPECTED, POSTGRES, QUESTION, SHORT, TOKEN, check

warnings.simplefilter("error")

for driver in "psycopg", "psycopg2":
    url = sqlalchemy.URL.create(
        "postgresql+" + driver, "ada", TOKEN, *POSTGRES.split(":"), "trial", {"sslmode": "verify-full", "sslrootcert": CA}
    )
    url = url.set(port=int(POSTGRES.split(":")[1]))
    engine = sqlalchemy.create_engine(url)
    inspector = sqlalchemy.inspect(engine)
    check("schema", inspector.default_schema_name, "public")
    check("schemas", inspector.get_schema_names(), ["information_schema", "public"])
    tables = inspector.get_table_names()
    check("tables", {"person", "death", "measurement"} <= set(tables))
    check("tables of the schema", inspector.get_table_names("public"), tables)
    check("views", (inspector.get_view_names(), inspector.get_materialized_view_names(), inspector.get_foreign_table_names()), ([], [], []))
    check("a table that is there", (inspector.has_table("person"), inspector.has_table("persn"), inspector.has_schema("public")), (True, False, True))
    columns = inspector.get_columns("death")
    check("columns", [(c["name"], str(c["type"]), c["nullable"]) for c in columns[:2]], [("person_id", "BIGINT", False), ("death_date", "DATE", False)])
    check("words about columns", any("cause of death" in (c["comment"] or "") for c in columns))
    check("a key", inspector.get_pk_constraint("person")["constrained_columns"], ["person_id"])
    keys = {tuple(k["constrained_columns"]): (k["referred_table"], k["referred_columns"]) for k in inspector.get_foreign_keys("death")}
    check("foreign keys", keys[("person_id",)], ("person", ["person_id"]))
    check("indexes", [inspector.get_indexes("person"), inspector.get_unique_constraints("person"), inspector.get_check_constraints("person")], [[], [], []])
    check("the table's words", len(inspector.get_table_comment("death")["text"] or "") > 0)
    check("enums, domains, sequences", (inspector.get_enums(), inspector.get_domains(), inspector.get_sequence_names()), ([], [], []))
    meta = sqlalchemy.MetaData()
    meta.reflect(engine)  # reads all tables at once, with other questions than for one table
    person = meta.tables["person"]
    check("reflected", person.c.year_of_birth.type.python_type, int)
    check("reflected by schema", "public.person" in (lambda m: (m.reflect(engine, schema="public", only=["person"]), m.tables)[1])(sqlalchemy.MetaData()))

    with engine.connect() as conn:
        check("rows", pandas.read_sql(sqlalchemy.text(QUESTION), conn).values.tolist(), [list(r) for r in SHORT])
        # The same question is built from the reflected table. Its names contain the table and the schema.
        n = func.count().label("n")
        built = select(person.c.gender_concept_id, n).group_by(person.c.gender_concept_id).order_by(person.c.gender_concept_id)
        check("built", [tuple(r) for r in conn.execute(built)], SHORT)
        qualified = sqlalchemy.Table("person", sqlalchemy.MetaData(), sqlalchemy.Column("gender_concept_id", sqlalchemy.BigInteger), schema="public")
        built = select(qualified.c.gender_concept_id, n.label("n")).group_by(qualified.c.gender_concept_id).order_by(qualified.c.gender_concept_id)
        check("qualified", [tuple(r) for r in conn.execute(built)], SHORT)
        filtered = select(n).where(person.c.year_of_birth >= 1970, person.c.gender_concept_id.in_([8507, 8532]))
        check("parameters", conn.execute(filtered).scalar_one(), conn.execute(filtered).scalar_one())
        # Superset wraps these queries around a virtual data set, and reads its columns in this way.
        wrapped = "SELECT * FROM (" + QUESTION.replace(" ORDER BY 1", "") + ") AS virtual_table LIMIT 1000"
        check("wrapped", sorted(tuple(r) for r in conn.execute(sqlalchemy.text(wrapped))), SHORT)
        empty = conn.execute(sqlalchemy.text("SELECT * FROM (" + QUESTION.replace(" ORDER BY 1", "") + ") AS t LIMIT 0"))
        check("columns alone", (list(empty.keys()), empty.fetchall()), (["gender_concept_id", "n"], []))
        conn.execute(sqlalchemy.text("SET intervals = columns"))
        check("intervals", [tuple(r) for r in conn.execute(sqlalchemy.text(QUESTION))], EXPECTED)
        check("a large answer in parts", sum(len(p) for p in conn.execution_options(stream_results=True, yield_per=1).execute(sqlalchemy.text(QUESTION)).partitions()), len(SHORT))
    engine.dispose()
print("ok")
