"""Measures the errors of SmartNoise SQL and OpenDP on the questions that each can express, at the same price.

usage: others.py FOLDER

FOLDER/questions.json lists {name, kind, low, high, exact: {group: number}}, and FOLDER/NAME.csv has a question's rows:
patient, k, x. Prints a JSON object: by question and library, the root mean square error over draws and groups.

Both libraries see all rows in one database. A patient of several hospitals has one id there, so no factor m is needed.
The price is rho = 1/8. SmartNoise spends epsilon on each number of an answer: Laplace noise on sums, geometric noise on
counts. Each number costs rho = epsilon^2/2, so each of n numbers gets epsilon = 0.5/sqrt(n). OpenDP takes rho itself.
The script tries several limits of a patient's rows and keeps the best, as our expert does.
"""
import json
import math
import os
import sys
import tempfile
import warnings

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
RHO, DRAWS, LADDER = 0.125, 20, (1, 3, 10, 100, 1000)
MOST_ROWS = 20_000  # with more rows SmartNoise takes seconds for a draw, so the question is left out


def truncated(rows, most, rng):
    """Keeps at most that many rows of each patient, drawn at random."""
    shuffled = rows.iloc[rng.permutation(len(rows))]
    return shuffled[shuffled.groupby("patient").cumcount() < most]


def smartnoise(question, rows, most):
    import snsql
    from snsql import Privacy
    sql, numbers = {
        "count": ("COUNT(*)", 1), "mean": ("AVG(x)", 2), "share": ("AVG(x) * 100", 2), "sum": ("SUM(x)", 1),
    }.get(question["kind"], (None, 0))
    if sql is None:
        return None
    meta = f"""
"":
  d:
    t:
      row_privacy: False
      max_ids: {most}
      sample_max_ids: True
      censor_dims: False
      clamp_counts: False
      clamp_columns: True
      use_dpsu: False
      patient: {{type: int, private_id: True}}
      k: {{type: string}}
      x: {{type: float, lower: {question["low"]}, upper: {question["high"]}}}
"""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as f:
        f.write(meta)
    grouped = list(question["exact"]) != [""]
    text = f"SELECT k, {sql} AS v FROM d.t GROUP BY k" if grouped else f"SELECT {sql} AS v FROM d.t"
    errors = []
    try:
        for _ in range(DRAWS):
            reader = snsql.from_df(rows, privacy=Privacy(epsilon=math.sqrt(2 * RHO / numbers), delta=1e-6), metadata=f.name)
            answer = reader.execute(text)[1:]
            found = {str(r[0]): r[1] for r in answer} if grouped else {"": answer[0][0]}
            errors += [float(found.get(g) or 0) - x for g, x in question["exact"].items()]
    finally:
        os.unlink(f.name)
    return errors


def opendp(question, rows, most, rng):
    import opendp.prelude as dp
    dp.enable_features("contrib", "floating-point")
    kind = question["kind"]
    if kind not in ("count", "mean", "share", "sum"):
        return None
    kept = truncated(rows, most, rng)
    low, high = question["low"], question["high"]
    middle, half = (low + high) / 2, (high - low) / 2
    groups = list(question["exact"])
    errors = []
    space = dp.vector_domain(dp.atom_domain(T=float)), dp.symmetric_distance()
    keys = dp.vector_domain(dp.atom_domain(T=str)), dp.symmetric_distance()

    def counts(rho):
        m = dp.binary_search_chain(
            lambda s: keys >> dp.t.then_count_by_categories(groups, null_category=True, MO=dp.L2Distance[float], TOA=int) >> dp.m.then_gaussian(s),
            d_in=most, d_out=rho, T=float)
        return m(kept["k"].tolist())

    def sums(rho, lower, upper, values):
        # A patient's rows may all be in one group, so each group's sum has the noise of the whole limit. The groups
        # have no rows in common, so the price is paid once, as for the counts.
        m = dp.binary_search_chain(
            lambda s: space >> dp.t.then_clamp((lower, upper)) >> dp.t.then_sum() >> dp.m.then_gaussian(s),
            d_in=most, d_out=rho, T=float)
        return [m(values[kept["k"].to_numpy() == g].tolist()) for g in groups]

    x = kept["x"].to_numpy(dtype=float)
    for _ in range(DRAWS):
        if kind == "count":
            v = counts(RHO)
        elif kind == "sum":
            v = sums(RHO, 0.0, float(high), x)
        else:
            n = counts(RHO / 2)
            s = sums(RHO / 2, -half, half, x - middle)
            v = [min(max(middle + a / max(1, b), low), high) for a, b in zip(s, n)]
            if kind == "share":
                v = [100 * a for a in v]
        errors += [a - question["exact"][g] for a, g in zip(v, groups)]
    return errors


def main(folder):
    rng = np.random.default_rng(1)
    out = {}
    with open(os.path.join(folder, "questions.json")) as f:
        questions = json.load(f)
    for number, question in enumerate(questions):
        rows = pd.read_csv(os.path.join(folder, f"{number}.csv"), dtype={"k": str}, keep_default_na=False, na_values={"x": [""]})
        if len(rows) > MOST_ROWS:
            continue
        rows["patient"] = pd.factorize(rows["patient"])[0]
        largest = rows.groupby("patient").size().max()
        steps = [c for c in LADDER if c < largest]
        steps.append(min((c for c in LADDER if c >= largest), default=LADDER[-1]))
        best = {}
        for most in steps:
            for name, ask in (("smartnoise", lambda: smartnoise(question, rows, most)), ("opendp", lambda: opendp(question, rows, most, rng))):
                errors = ask()
                if errors:
                    rmse = math.sqrt(sum(e * e for e in errors) / len(errors))
                    best[name] = min(best.get(name, math.inf), rmse)
        out[question["name"]] = best
        print(question["name"], best, file=sys.stderr, flush=True)
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
