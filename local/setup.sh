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

advice() { # what installs a Python that will do, on this system
    wanted=${only:-"3.13 3.14 3.12"}
    if [ "$(uname)" = Darwin ] && command -v brew >/dev/null; then echo "run 'brew install python@3.13'"; return; fi
    # The version that apt would install: Debian 12 has only 3.11.
    offered=$(apt-cache policy python3-venv 2>/dev/null | sed -n 's/^ *Candidate: *\([0-9]*\.[0-9]*\).*/\1/p')
    case " $wanted " in
    *" ${offered:-none} "*) echo "run 'apt install python3-venv' as root" ;;
    *)
        echo "${offered:+apt offers only $offered here; }install uv (https://docs.astral.sh/uv/getting-started/installation)" \
            "or run 'pyenv install 3.13', or build it from https://www.python.org/downloads"
        ;;
    esac
}

works() { # works <python>: the environment's Python runs, in the only version that will do
    "$1" -c "import sys; sys.exit('${only:-}' not in ('', '%d.%d' % sys.version_info[:2]))" 2>/dev/null
}

stamp="$venv/.requirements"
# An environment that has more than is required will do.
if works "$venv/bin/python" && [ -f "$stamp" ] && ! grep -qvxFf "$stamp" "$requirements"; then exit 0; fi

if ! works "$venv/bin/python"; then
    if ! python=$(find_python) && ! command -v uv >/dev/null; then
        echo "Synaxis Billing needs Python ${only:-3.13 (3.14 and 3.12 work too)} with venv and pip: $(advice), and try again." >&2
        exit 1
    fi
    rm -rf "$venv"
    # uv needs no venv module, and brings a Python where the system has none that will do.
    if [ -n "$python" ]; then "$python" -m venv "$venv"; else uv venv --seed --python "${only:-3.13}" "$venv"; fi
fi
echo "Installing $(grep -c '==' "$requirements") packages into $venv with $("$venv/bin/python" -V) (once)..."
if command -v uv >/dev/null; then
    uv pip install --python "$venv/bin/python" --require-hashes -r "$requirements"
else
    "$venv/bin/python" -m pip install --disable-pip-version-check --require-hashes -r "$requirements"
fi
cp "$requirements" "$stamp"
