# Makes .venv from a lock file: `. tools/venv.sh; make_venv requirements.lock`. With uv where it is there, else with pip.
make_venv() {
  install_into_venv "$1"
  .venv/bin/python -m compileall -q src # also where PYTHONDONTWRITEBYTECODE is set: it halves the start of every part
}

install_into_venv() {
  local lock=$1 stamp=".venv/.$1.installed" python=${PYTHON:-python3}
  if [ -e "$stamp" ] && ! [ "$lock" -nt "$stamp" ] && ! [ pyproject.toml -nt "$stamp" ]; then
    return
  fi
  command -v "$python" >/dev/null || { echo "$0: python3 is missing: install Python 3.11 or newer" >&2; return 1; }
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "$0: $("$python" --version) is too old: Python 3.11 or newer is needed (set PYTHON to one)" >&2; return 1; }
  echo "installing into .venv from $lock" >&2
  if command -v uv >/dev/null; then
    [ -e .venv/bin/python ] || uv venv -q --python "$python" .venv
    uv pip install -q --python .venv/bin/python -r "$lock"
    uv pip install -q --python .venv/bin/python --no-deps -e .
  else
    [ -e .venv/bin/pip ] || "$python" -m venv .venv 2>/dev/null || {
      rm -rf .venv
      if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -q >/dev/null && apt-get install -qy --no-install-recommends python3-venv >/dev/null
      else
        echo "$0: the module venv is missing: install python3-venv, or uv" >&2
        return 1
      fi
      "$python" -m venv .venv
    }
    .venv/bin/pip install -qq --disable-pip-version-check -r "$lock"
    .venv/bin/pip install -qq --disable-pip-version-check --no-deps -e .
  fi
  # .venv has the metadata; by this second copy of it pytest would take the whole package for a plug-in, and rewrite all its assertions.
  rm -rf src/pybernetes.egg-info
  touch "$stamp"
}
