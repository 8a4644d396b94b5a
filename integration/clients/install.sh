#!/usr/bin/env bash
# Installs the clients of `make test-clients`, at pinned versions, into the given folder. It keeps complete
# installations of these versions. It first checks which tools the machine lacks and names all of them at once.
set -euo pipefail
into=$1
here=$(cd "$(dirname "$0")" && pwd)

missing=()
need() { # tool, Debian's package for it, and a command that succeeds if the tool is installed
    local what=$1 package=$2
    shift 2
    "$@" >/dev/null 2>&1 || missing+=("$what (Debian: $package)")
}
need "Python with venv" "python3-venv" python3 -c 'import venv, ensurepip'
need "a Java Development Kit of 17 or later" "default-jdk-headless" java -version
if command -v java >/dev/null; then
    need "Java's compiler, not the runtime alone" "default-jdk-headless" bash -c 'java --list-modules | grep -q "^jdk.compiler@"'
fi
need "Maven" "maven" mvn --version
need "psql" "postgresql-client" psql --version
need "npm" "npm" npm --version
if ((${#missing[@]})); then
    printf 'make test-clients needs what is not installed here:\n' >&2
    printf '  %s\n' "${missing[@]}" >&2
    exit 1
fi
Rscript -e 'q(status = !all(sapply(c("RPostgreSQL", "dbplyr"), requireNamespace, quietly = TRUE)))' >/dev/null 2>&1 ||
    echo "R with RPostgreSQL and dbplyr is not installed (Debian: r-cran-rpostgresql, r-cran-dbplyr): what is in R will not be run" >&2
perl -MDBD::Pg -e 1 2>/dev/null || echo "DBD::Pg is not installed (Debian: libdbd-pg-perl): it will not be run" >&2
grep -q "PostgreSQL Unicode" /etc/odbcinst.ini 2>/dev/null || echo "psqlODBC is not installed (Debian: odbc-postgresql): it will not be run" >&2

try() { # runs a command at most three times
    local n
    for n in 1 2 3; do
        if "$@"; then
            return
        fi
        echo "attempt $n of 3 did not succeed: $*" >&2
        sleep $((n * 5))
    done
    return 1
}

# Installations run in parallel. Each has its own log, which is shown if the installation fails.
mkdir -p "$into"
names=() jobs=()
install() { # name, and the function that installs it
    ("${@:2}") >"$into/$1.log" 2>&1 &
    names+=("$1") jobs+=($!)
}

# uv, at the version below, installs what pip would install, in a tenth of the time. It uses pip's registry and
# certificate settings.
uv=$into/uv/bin/uv
if ! [[ -x $uv && $("$uv" --version) == "uv 0.13.9 "* ]]; then
    rm -rf "$into/uv"
    python3 -m venv "$into/uv"
    try "$into/uv/bin/pip" install -q --disable-pip-version-check --retries 3 uv==0.13.9
fi
index=${PIP_INDEX_URL:-$(python3 -m pip config get global.index-url 2>/dev/null || true)}
if [[ $index ]]; then export UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-$index}; fi
if [[ ${PIP_CERT:-} ]]; then export SSL_CERT_FILE=${SSL_CERT_FILE:-$PIP_CERT}; fi
export UV_HTTP_TIMEOUT=180 UV_NO_PROGRESS=1 UV_PYTHON_DOWNLOADS=never

# installed.txt, written last, lists the packages of an environment. An environment that is incomplete or has another
# list is made again.
environment() { # folder, package list
    local folder=$into/$1 list=$here/$2
    if ! cmp -s "$list" "$folder/installed.txt"; then
        rm -rf "$folder"
        "$uv" venv -q --python python3 "$folder"
        try "$uv" pip install -q --python "$folder/bin/python" -r "$list"
        cp "$list" "$folder/installed.txt"
    fi
}

# npm verifies what package-lock.json pins.
modules() {
    if ! cmp -s "$here/package-lock.json" "$into/node/installed"; then
        mkdir -p "$into/node"
        cp "$here/package.json" "$here/package-lock.json" "$into/node"
        (cd "$into/node" && try npm ci --no-audit --no-fund --silent)
        cp "$here/package-lock.json" "$into/node/installed"
    fi
}

# Each jar is identified by its SHA-256 and gets its name when it is complete.
jars() {
    mkdir -p "$into/jars"
    while read -r digest artifact; do
        IFS=: read -r _ name version <<<"$artifact"
        jar=$into/jars/$name.jar
        if ! sha256sum --status -c <<<"$digest  $jar" 2>/dev/null; then
            coming=$(mktemp -d "$into/jars/coming.XXXXXX")
            try mvn -q -B -C -Dstyle.color=never org.apache.maven.plugins:maven-dependency-plugin:2.8:copy -Dartifact="$artifact" -DoutputDirectory="$coming" </dev/null
            if ! sha256sum --status -c <<<"$digest  $coming/$name-$version.jar"; then
                echo "$artifact is not the file that these tests were last shown with: its SHA-256 differs" >&2
                exit 1
            fi
            mv "$coming/$name-$version.jar" "$jar"
            rmdir "$coming"
        fi
    done <"$here/jars.txt"
}

# The slowest installation starts first. A name as second argument installs only that one.
for one in ${2:-jars venv tools pgadmin node go}; do
    case $one in
    jars) install jars jars ;;
    venv) install venv environment venv requirements.txt ;;
    node) install node modules ;;
    go) install go go build -C "$here/golang" -o /dev/null . ./pgx ;;
    *) install "$one" environment "$one" "$one.txt" ;;
    esac
done
failed=0
for i in "${!jobs[@]}"; do
    if ! wait "${jobs[i]}"; then
        printf 'what is to be installed into %s was not:\n' "$into/${names[i]}" >&2
        cat "$into/${names[i]}.log" >&2
        failed=1
    fi
done
exit "$failed"
