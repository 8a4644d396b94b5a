#!/usr/bin/env bash
# psql: questions, errors, and the whole \d family, which must know every table.
set -euo pipefail
export PGPASSWORD=$CLIENT_TOKEN PSQLRC=/dev/null PAGER=cat
ask() { psql "host=${CLIENT_POSTGRES%:*} port=${CLIENT_POSTGRES#*:} user=ada dbname=trial sslmode=verify-full sslrootcert=$CLIENT_CA" "$@" 2>&1; }
must() { # expected text, then psql's arguments
    local text=$1 out
    shift
    out=$(ask "$@") || true
    grep -qF -- "$text" <<<"$out" || { printf 'psql %s does not show %q:\n%s\n' "$*" "$text" "$out"; exit 1; }
}
question="SELECT gender_concept_id, COUNT(*) AS n FROM person GROUP BY 1 ORDER BY 1"
must "NOTICE:  cost: nothing" -c "$question"
must "95 % intervals: n ±" -c "$question"
must "n_low" -c "SET intervals = columns; $question"
must "LINE 1: SELECT COUNT(*) FROM persn" -c "SELECT COUNT(*) FROM persn"
must "                             ^" -c "SELECT COUNT(*) FROM persn"
must "epsilon 1" -c "EXPLAIN $question"
must "rennes" -c "SHOW HOSPITALS"
must "PostgreSQL 15.0 (Intramuros" -c "SELECT version()"
must "TLSv1.3" -c '\conninfo'
# SCRAM proves the token, bound to the certificate, without sending it. An account without keys must send it.
PGCHANNELBINDING=require PGREQUIREAUTH=scram-sha-256 must "Intramuros" -c "SELECT version()"
out=$(PGPASSWORD=a-wrong-token-0123456789 ask -c "SELECT 1") && exit 1
grep -qF "UNAUTHORIZED: the name or the token is not right" <<<"$out" || { echo "a wrong token: $out"; exit 1; }
out=$(PGUSER=poor PGPASSWORD=$CLIENT_POOR PGCHANNELBINDING=require psql "host=${CLIENT_POSTGRES%:*} port=${CLIENT_POSTGRES#*:} dbname=trial sslmode=verify-full sslrootcert=$CLIENT_CA" -c "SELECT 1" 2>&1) && exit 1
grep -qF "channel binding required" <<<"$out" || { echo "an account without keys: $out"; exit 1; }
must "public | person" -c '\d'
must "public | person" -c '\dt'
must "year_of_birth" -c '\d person'
must '"person_pkey" PRIMARY KEY, btree (person_id)' -c '\d person'
must 'TABLE "death" CONSTRAINT "death_person_id_fkey" FOREIGN KEY (person_id) REFERENCES person(person_id)' -c '\d person'
must 'FOREIGN KEY (person_id) REFERENCES person(person_id)' -c '\d death'
must "cause of death" -c '\d+ death'
must "death_pkey" -c '\di'
must "public | federation" -c '\dn'
must "trial | federation" -c '\l'
must "federation" -c '\du'
for command in '\dv' '\dm' '\ds' '\df' '\dT' '\dx' '\dp' '\db' '\dA' '\dc' '\dC' '\dD' '\dE' '\des' '\dF' '\dO' '\do' '\drds' '\dRp' '\dX' '\dy' '\dn+' '\dt+' '\d+' '\l+' '\dconfig' '\det' '\dew' '\dL' '\ddp'; do
    out=$(ask -c "$command") || true
    if grep -q ERROR <<<"$out"; then
        printf 'psql %s: %s\n' "$command" "$out"
        exit 1
    fi
done
# The queries of psql's tab completion.
must "person" -At -c "SELECT pg_catalog.quote_ident(c.relname) FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'S', 'v', 'm', 'f', 'p') AND substring(pg_catalog.quote_ident(c.relname),1,3)='per' AND pg_catalog.pg_table_is_visible(c.oid) LIMIT 1000"
echo ok
