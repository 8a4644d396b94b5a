#!/usr/bin/env bash
# dbt: a connection, a question shown, and two tests that ask questions. One passes and one fails.
set -euo pipefail
project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT
cd "$project"
export DBT_SEND_ANONYMOUS_USAGE_STATS=false DBT_PROFILES_DIR=$project DBT_USE_COLORS=false HOME=$project
mkdir models tests
cat >dbt_project.yml <<'END'
name: questions
version: "1.0"
profile: federation
END
cat >profiles.yml <<END
federation:
  target: federation
  outputs:
    federation:
      {type: postgres, host: "${CLIENT_POSTGRES%:*}", port: ${CLIENT_POSTGRES#*:}, user: ada, password: "$CLIENT_TOKEN", dbname: trial, schema: public,
       threads: 1, sslmode: verify-full, sslrootcert: "$CLIENT_CA"}
END
cat >models/sources.yml <<'END'
version: 2
sources: [{name: federation, schema: public, tables: [{name: person}]}]
END
echo "SELECT gender_concept_id, COUNT(*) AS n FROM {{ source('federation', 'person') }} GROUP BY 1 HAVING COUNT(*) < -1000" >tests/holds.sql
echo "SELECT gender_concept_id, COUNT(*) AS n FROM {{ source('federation', 'person') }} GROUP BY 1 HAVING COUNT(*) > 100" >tests/fails.sql
must() {
    local text=$1 out
    shift
    out=$("$CLIENT_TOOLS/dbt" "$@" 2>&1) || true
    grep -qE -- "$text" <<<"$out" || { printf 'dbt %s does not show %q:\n%s\n' "$*" "$text" "$out"; exit 1; }
}
must 'Connection test: \[?OK connection ok' debug
must 'PASS=1 WARN=0 ERROR=1' test
must '8507' show --inline "SELECT gender_concept_id, COUNT(*) AS n FROM {{ source('federation', 'person') }} GROUP BY 1 ORDER BY 1"
echo ok
