"""Tests Superset without its pages: its own questions to a database, datasets of a table and of SQL, and charts."""

import logging
import os
import tempfile
import warnings

from common import CA, POSTGRES, QUESTION, SHORT, TOKEN, check, refused

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
home = tempfile.TemporaryDirectory()
os.environ.update(SUPERSET_HOME=home.name, SUPERSET_SECRET_KEY="of this test alone", FLASK_APP="superset")
from superset.app import create_app  # noqa: E402

with create_app().app_context():
    from flask_appbuilder import Model
    from superset import db, security_manager
    from superset.connectors.sqla.models import SqlaTable
    from superset.models.core import Database
    from superset.sql_parse import Table
    from superset.utils.core import override_user

    Model.metadata.create_all(db.engine)
    security_manager.sync_role_definitions()
    admin = security_manager.add_user("admin", "a", "b", "a@example.org", security_manager.find_role("Admin"), "of this test")

    federation = Database(database_name="federation")
    federation.set_sqlalchemy_uri(f"postgresql+psycopg2://ada:{TOKEN}@{POSTGRES}/trial?sslmode=verify-full&sslrootcert={CA}")
    db.session.add(federation)
    db.session.commit()

    check("its engine", federation.db_engine_spec.engine_name, "PostgreSQL")
    check("schemas", federation.get_all_schema_names(), {"public", "information_schema"})
    tables = {name for name, *_ in federation.get_all_table_names_in_schema(catalog=None, schema="public")}
    check("tables", {"person", "death", "measurement"} <= tables)
    check("views", federation.get_all_view_names_in_schema(catalog=None, schema="public"), set())
    death = Table("death", "public")
    check("columns", [(c["column_name"], str(c["type"])) for c in federation.get_columns(death)[:2]], [("person_id", "BIGINT"), ("death_date", "DATE")])
    check("indexes", federation.get_indexes(death), [])
    check("words", bool(federation.get_table_comment(death)))
    check("what it shows of a table", federation.select_star(death, show_cols=True).startswith("SELECT\n  person_id,\n  death_date,"))
    check("SQL Lab", [tuple(r) for r in federation.get_df(QUESTION).values.tolist()], SHORT)
    try:
        federation.get_df("SELECT * FROM person LIMIT 100")
        raise SystemExit("samples were not refused")
    except Exception as e:
        refused("samples", e, "ROW_LEVEL")

    def dataset(name, sql=None):
        made = SqlaTable(table_name=name, schema="public", sql=sql, database=federation)
        db.session.add(made)
        db.session.flush()
        made.fetch_metadata()
        db.session.commit()
        return made

    def asked(of, **query):
        """Asks for a chart's data as its page does, and returns the answer."""
        whole = dict(granularity=None, from_dttm=None, to_dttm=None, groupby=[], metrics=[], filter=[], is_timeseries=False, extras={}, row_limit=1000, orderby=[])
        with override_user(admin):
            answer = of.query({**whole, **query})
        if answer.error_message:
            raise SystemExit(f"{query}: {answer.error_message}\n{answer.query}")
        return answer.df

    count = {"label": "n", "expressionType": "SQL", "sqlExpression": "COUNT(*)"}
    person, deaths = dataset("person"), dataset("death")
    check("columns of a dataset", {"person_id", "gender_concept_id"} <= {c.column_name for c in person.columns})
    frame = asked(person, columns=["gender_concept_id"], metrics=[count])
    check("a chart", sorted(tuple(r) for r in frame[["gender_concept_id", "n"]].values.tolist()), SHORT)
    ordered = asked(person, columns=["gender_concept_id"], metrics=[count], orderby=[[count, False]], row_limit=2, filter=[{"col": "gender_concept_id", "op": "IN", "val": [8507, 8532]}])
    check("a filter and an order", len(ordered), 2)
    mean = {"label": "mean", "expressionType": "SIMPLE", "aggregate": "AVG", "column": {"column_name": "year_of_birth"}}
    check("a metric of a column", 1900 < asked(person, metrics=[mean])["mean"][0] < 2030)
    import datetime

    series = asked(deaths, columns=[], is_timeseries=True, granularity="death_date", from_dttm=datetime.datetime(2019, 1, 1), to_dttm=datetime.datetime(2024, 1, 1), metrics=[count], extras={"time_grain_sqla": "P1Y"})
    check("a line over years", list(series.columns)[0] == "__timestamp" and len(series) > 0)
    own = asked(person, columns=[{"label": "decade", "sqlExpression": "FLOOR(year_of_birth / 10) * 10", "expressionType": "SQL"}], metrics=[count], extras={"having": "COUNT(*) > 50", "where": "year_of_birth >= 1940"})
    check("own SQL", len(own) > 1)
    virtual = dataset("genders", QUESTION)
    check("columns of SQL", [c.column_name for c in virtual.columns], ["gender_concept_id", "n"])
    total = {"label": "total", "expressionType": "SIMPLE", "aggregate": "SUM", "column": {"column_name": "n"}}
    check("a chart of SQL", asked(virtual, metrics=[total])["total"][0], sum(n for _, n in SHORT))
print("ok")
