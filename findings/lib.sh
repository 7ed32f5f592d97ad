# Sourced by each finding. Works in a temp folder that goes at the end, runs one program against pinned packages,
# and compares what it prints with what the finding states.

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# rust 'DEPENDENCIES': builds the program on standard input with these lines of Cargo.toml and prints what it prints.
rust() {
    mkdir -p src
    cat >src/main.rs
    printf '[package]\nname = "finding"\nversion = "0.0.0"\nedition = "2021"\n[profile.dev]\ndebug = 0\n[dependencies]\n%s\n' "$1" >Cargo.toml
    CARGO_TARGET_DIR="$work/target" cargo run --quiet
}

# python PACKAGE...: runs the program on standard input in a fresh environment with these packages.
python() {
    cat >finding.py
    python3 -m venv env
    env/bin/pip install --quiet --disable-pip-version-check "$@"
    env/bin/python finding.py
}

# packages PACKAGE...: installs these npm packages in the temp folder.
packages() {
    echo '{"private": true, "type": "module"}' >package.json
    npm install --silent --no-audit --no-fund --save-exact "$@" >&2
}

# expect SEEN <STATED: prints what was seen; ends with status 1 where it is not what the finding states.
expect() {
    local stated
    stated=$(cat)
    printf '%s\n' "$1"
    if [ "$1" != "$stated" ]; then
        echo "CHANGED: the finding states other output:" >&2
        diff <(printf '%s\n' "$stated") <(printf '%s\n' "$1") >&2 || true
        exit 1
    fi
    echo "as stated"
}
