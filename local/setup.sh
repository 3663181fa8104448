#!/bin/sh
# Makes the virtual environment $1 from the hashed requirements $2, on the best Python that really runs.
# With a third argument, only that Python version will do (sam builds for the Lambda runtime's).
set -eu
venv=$1 requirements=$2 only=${3:-}

runs() { # runs <python> <version>: an installed shim may still refuse, so ask it
    "$1" -c "import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '$2')" 2>/dev/null
}

find_python() {
    for version in ${only:-3.13 3.14 3.12}; do
        for python in "python$version" python3 python \
            "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version"/bin/python; do
            if runs "$python" "$version"; then echo "$python"; return; fi
        done
        if command -v uv >/dev/null && python=$(uv python find --no-project "$version" 2>/dev/null) &&
            runs "$python" "$version"; then echo "$python"; return; fi
    done
    return 1
}

stamp="$venv/.requirements"
if [ -x "$venv/bin/python" ] && "$venv/bin/python" -c "" 2>/dev/null && cmp -s "$requirements" "$stamp"; then exit 0; fi

if ! python=$(find_python); then
    echo "Synaxis Billing needs Python ${only:-3.13 (3.14 and 3.12 work too)} with venv and pip: install it (Debian and Ubuntu:" \
        "'apt install python3-venv'; macOS: 'brew install python@3.13'; anywhere: 'uv python install 3.13') and try again." >&2
    exit 1
fi
echo "Installing into $venv with $("$python" -V) (once)..."
rm -rf "$venv"
"$python" -m venv "$venv"
if command -v uv >/dev/null; then
    uv pip install --quiet --python "$venv/bin/python" --require-hashes -r "$requirements"
else
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes -r "$requirements"
fi
cp "$requirements" "$stamp"
