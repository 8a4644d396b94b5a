#!/usr/bin/env bash
# pgcli: its tables, a table, a question with its cost, and an error with its hint.
set -euo pipefail
HOME=$(mktemp -d)
export HOME PGPASSWORD=$CLIENT_TOKEN
trap 'rm -rf "$HOME"' EXIT
printf '%s\n' '\dt' '\d death' "SELECT gender_concept_id, COUNT(*) AS n FROM person GROUP BY 1 ORDER BY 1;" 'SELECT COUNT(*) FROM persn;' >"$HOME/asked.sql"
out=$("$CLIENT_TOOLS/pgcli" --warn off -f "$HOME/asked.sql" "host=${CLIENT_POSTGRES%:*} port=${CLIENT_POSTGRES#*:} user=ada dbname=trial sslmode=verify-full sslrootcert=$CLIENT_CA" 2>&1) || true
for text in '| public | person ' '"death_pkey" PRIMARY KEY, btree (person_id)' 'cost: nothing, the same question was answered before' 'gender_concept_id | n' 'HINT:  did you mean person?'; do
    grep -qF -- "$text" <<<"$out" || { printf 'pgcli does not show %q:\n%s\n' "$text" "$out"; exit 1; }
done
echo ok
