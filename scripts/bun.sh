#!/bin/sh
# Runs this project's Bun: `sh scripts/bun.sh ARGS…` is `bun ARGS…` with exactly the version pinned in package.json and
# the locked dependencies in place. Needs npm or any Bun to fetch it once; afterwards it works offline.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
version=$(sed -n 's/^ *"bun": "\([0-9.]*\)".*/\1/p' "$root/package.json")
home="$root/.cache/bun-$version"

say() { printf 'aami: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

bun_package() {
  [ "$(uname -s)" = Linux ] || die "AAMI runs on Linux; this is $(uname -s)"
  case "$(uname -m)" in
    x86_64) arch=x64 ;;
    aarch64 | arm64) arch=aarch64 ;;
    *) die "Bun has no build for $(uname -m)" ;;
  esac
  libc=''
  for loader in /lib/ld-musl-*; do [ -e "$loader" ] && libc=-musl; done
  echo "@oven/bun-linux-$arch$libc"
}

# The platform's package is asked for by name: it holds the executable itself and needs no install script.
fetch_bun() {
  package=$(bun_package)
  command -v npm >/dev/null 2>&1 || command -v bun >/dev/null 2>&1 ||
    die "neither npm nor bun is installed; install Node.js (with npm) or Bun and try again"
  say "fetching Bun $version from the npm registry (once, about 40 MB)"
  mkdir -p "$root/.cache"
  work=$(mktemp -d "$root/.cache/fetch-bun.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT TERM
  echo '{ "private": true }' >"$work/package.json"
  if command -v npm >/dev/null 2>&1; then
    (cd "$work" && npm install --prefix "$work" --no-save --ignore-scripts --no-audit --no-fund --no-progress --no-update-notifier \
      --loglevel=error "$package@$version" >/dev/null)
  else
    (cd "$work" && bun add --silent --ignore-scripts --exact "$package@$version" >/dev/null)
  fi || die "could not fetch Bun $version; the lines above say why (is the npm registry reachable?)"
  mkdir -p "$home"
  # A rename is atomic: an interrupted or concurrent run never leaves half an executable behind.
  mv -f "$work/node_modules/$package/bin/bun" "$home/bun"
  rm -rf "$work"
  trap - EXIT INT TERM
}

find_bun() {
  if [ -x "$home/bun" ]; then
    bun="$home/bun"
    return
  fi
  bun=$(command -v bun 2>/dev/null || true)
  [ -n "$bun" ] && [ "$("$bun" --version 2>/dev/null)" = "$version" ] && return
  fetch_bun
  bun="$home/bun"
}

install_dependencies() {
  # Bun skips the network when node_modules already matches the lock file.
  [ -d "$root/node_modules" ] || say "installing the locked dependencies"
  log="$root/.cache/install.log"
  mkdir -p "$root/.cache"
  (cd "$root" && "$bun" install --frozen-lockfile >"$log" 2>&1) || {
    cat "$log" >&2
    die "could not install the dependencies of bun.lock; the lines above say why"
  }
}

find_bun
install_dependencies
cd "$root"
exec "$bun" "$@"
