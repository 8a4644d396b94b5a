"""Times other engines on COUNT and AVG by 200 keys, at epsilon 1. A patient has 40 rows.

usage: peers.py ROWS

Prints for each engine the shortest of three times, and its ratio to the time that DuckDB takes for the same question
without privacy, in the same run. `make bench` prints this ratio for a node. The script names engines that are not
installed.
"""
import os
import sys
import tempfile
import time
import warnings

import duckdb
import numpy as np

warnings.filterwarnings("ignore")
EPSILON, KEYS, MOST = 1.0, 200, 40
META = f"""
"":
  d:
    t:
      row_privacy: False
      max_ids: {MOST}
      sample_max_ids: True
      censor_dims: False
      clamp_counts: False
      clamp_columns: True
      use_dpsu: False
      id: {{type: int, private_id: True}}
      unit: {{type: string}}
      x: {{type: float, lower: 0, upper: 100}}
"""


def least(do):
    times = []
    for _ in range(3):
        began = time.perf_counter()
        do()
        times.append(time.perf_counter() - began)
    return min(times)


def smartnoise(rows):
    import snsql
    from snsql import Privacy
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as f:
        f.write(META)
    try:
        def ask():
            reader = snsql.from_df(rows, privacy=Privacy(epsilon=EPSILON / 2, delta=1e-6), metadata=f.name)
            assert len(reader.execute("SELECT unit, COUNT(*) AS n, AVG(x) AS v FROM d.t GROUP BY unit")) > KEYS / 2
        return least(ask)
    finally:
        os.unlink(f.name)


def opendp(rows):
    """Counts and sums by key. At most MOST rows of a patient are kept. OpenDP sums each key by itself."""
    import opendp.prelude as dp
    dp.enable_features("contrib", "floating-point")
    names = [str(k) for k in range(KEYS)]
    texts = dp.vector_domain(dp.atom_domain(T=str)), dp.symmetric_distance()
    reals = dp.vector_domain(dp.atom_domain(T=float)), dp.symmetric_distance()
    counts = dp.binary_search_chain(
        lambda s: texts >> dp.t.then_count_by_categories(names, null_category=True, MO=dp.L2Distance[float], TOA=int) >> dp.m.then_gaussian(s),
        d_in=MOST, d_out=EPSILON**2 / 4, T=float)
    sums = dp.binary_search_chain(
        lambda s: reals >> dp.t.then_clamp((-50.0, 50.0)) >> dp.t.then_sum() >> dp.m.then_gaussian(s), d_in=MOST, d_out=EPSILON**2 / 4, T=float)

    def ask():
        kept = rows[rows.groupby("id").cumcount() < MOST]
        counts(kept["unit"].tolist())
        for _, x in kept.groupby("unit")["x"]:
            sums((x.to_numpy() - 50).tolist())
    return least(ask)


def main(n):
    db = duckdb.connect()
    db.execute(f"""CREATE TABLE event AS SELECT (hash(i) % {n // 40})::BIGINT AS id, (hash(i + 1000000007) % {KEYS})::VARCHAR AS unit,
        (i * 104729 % 100000)::DOUBLE / 1000 AS x FROM range({n}) AS s(i)""")
    plain = least(lambda: db.execute("SELECT unit, count(*), avg(x) FROM event GROUP BY unit").fetchall())
    rows = db.execute("SELECT * FROM event").df()
    print(f"{n} rows of {n // 40} patients, COUNT and AVG by {KEYS} keys; least of three\n{'DuckDB, not private':24} {plain:8.3f} s")
    for name, ask in {"SmartNoise SQL": smartnoise, "OpenDP": opendp}.items():
        try:
            took = ask(rows)
            print(f"{name:24} {took:8.3f} s  {took / plain:8.0f} times")
        except ImportError as e:
            print(f"{name:24} is not installed: {e}")
    print("not in requirements.txt, and so not measured: pipeline-dp, tmlt.analytics (needs Java), pyqrlew (needs PostgreSQL)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000)
