#!/usr/bin/env bash
# The only CI: workflows and the Makefile call one step of it each.
#   ./ci.sh quick|fmt|lint|deps|test|matrix|book|dist|overlay|gentoo|init|bare|vm|fuzz|all|full
set -euo pipefail
cd "$(dirname "$0")"

# Warnings fail in CI and only there: a half-finished change may be tried out locally.
[ "${CI:-}" != true ] || export RUSTFLAGS="${RUSTFLAGS:-} -Dwarnings"

# Each step says when it begins, so that a log tells what costs the time.
say() { printf '\n== %s (after %s s)\n' "$*" "$SECONDS"; }
need() { # STEP PROGRAM...: true when the programs are there; in CI their absence is a failure
  local step=$1 program; shift
  for program in "$@"; do
    if ! $program --version >/dev/null 2>&1; then
      [ "${CI:-}" != true ] || { echo "error: $step needs $program" >&2; exit 1; }
      echo "-- $step skipped: no $program"; return 1
    fi
  done
}

# What runs on this machine, with all features. Every step asks for the same, so that cargo builds each dependency once.
HOSTED=(--locked --workspace --exclude genpack-init-static --all-features)

fmt() { say fmt; ! need fmt "cargo fmt" || cargo fmt --all --check; }

lint() {
  say lint
  ! need lint "cargo clippy" || {
    cargo clippy "${HOSTED[@]}" --all-targets -- -Dwarnings
    cargo clippy --locked -p genpack-init-static --no-default-features --lib --tests -- -Dwarnings
  }
  # Unsafe code lives in rooms of its own; the formats and the pure rooms have none.
  local strays
  strays=$(git ls-files '*.rs' | grep -vE '(^|/)sys(/|\.rs$)|^qemu/src/process\.rs$' \
    | xargs grep -nE '\bunsafe (\{|fn|impl|extern)|#\[unsafe' || true)
  [ -z "$strays" ] || { printf 'error: unsafe code outside sys/:\n%s\n' "$strays" >&2; exit 1; }
}

# Who may use whom, checked against this list (see CONTRIBUTING.md, "Dependency direction").
deps() {
  say deps
  local package allowed uses
  while read -r package allowed; do
    uses=$(cargo tree --locked -p "$package" -e normal --depth 1 --prefix none --no-dedupe \
      | sed '1d; s/ .*//' | sort -u | tr '\n' ' ')
    for use in $uses; do
      case " $allowed " in *" $use "*) ;; *) echo "error: $package must not use $use" >&2; exit 1 ;; esac
    done
    echo "$package: ${uses:-nothing}"
  done < <(grep -vE '^(#|$)' tools/allowed-deps.txt)
}

# Floors 1 to 3: unit, golden, differential (foreign tools judge), and the fuzz bodies on stable Rust.
tests() {
  say "unit, golden, differential"
  cargo test "${HOSTED[@]}" --exclude genpack-tests
  cargo test --locked -p genpack-init-static --no-default-features --lib
}

# The tests that take minutes: every FAT from 1 MiB to 2 TiB, 1,000 trees through every reader of a SquashFS, a pack
# killed at each of its system calls; artifacts of other architectures; a browser driven through the page for system.ini.
matrix() {
  say "long matrix"
  tools/foreign-assets.sh || skips $? "programs of aarch64 and riscv64"
  cargo test --locked -p genpack-core -p genpack-host --all-features -- --ignored
}

# The documents as a book, by an mdbook that is compiled once; its links are followed.
book() { say "book"; ! need book python3 || tools/book.sh; }

# The packages, on a machine that has nothing else.
dist() { say "packages"; ! need dist mmdebstrap systemd-nspawn dpkg-deb || { tools/dist.sh; tools/check-dist.sh bookworm build; }; }

# Every architecture. The compilers of the foreign ones are fetched once, into target/cross.
init() {
  say "genpack-init"
  tools/build-init.sh x86_64
  local code=0
  tools/build-init.sh aarch64 riscv64 || code=$?
  [ $code = 0 ] || skips $code "no compilers for aarch64 and riscv64"
}

skips() { # STATUS WHY: what could not be fetched is passed over, but not in CI; any other failure is one
  [ "$1" = 3 ] && [ "${CI:-}" != true ] || exit 1
  echo "-- skipped: $2"
}

# core and boot without an operating system; no panic in any parser, a budget of stack for each.
bare() { say "no std, no libc, no panic"; ! need bare python3 || tools/bare.sh; }

# Floor 5: machines that boot; with "full" the longer matrix too.
vm() {
  say "booted machines"
  local skipped="--skip full::"
  [ "${1:-}" != full ] || skipped=
  # What machines of other architectures boot is fetched once, into target/assets, while the program is built.
  tools/foreign-assets.sh & local assets=$!
  cargo build --locked --release -p genpack-host
  wait $assets || skips 3 "machines of aarch64 and riscv64"
  say "scenes"
  cargo test "${HOSTED[@]}" --test scenes --test init_verbs -- --nocapture --test-threads 1 $skipped
}

# The overlay's ebuilds; pkgcheck comes once, into target/pkgcheck.
overlay() { say overlay; ! need overlay python3 || tools/check-overlay.sh; }

# Real Portage on a stand-in for Gentoo, which is made once, into target/gentoo; "small" takes a minute or two then.
gentoo() {
  say "Gentoo${1:+, $1}"
  if [ "$(id -u)" != 0 ] || [ "$(uname -m)" != x86_64 ]; then
    [ "${CI:-}" != true ] || { echo "error: gentoo needs root on x86_64" >&2; exit 1; }
    echo "-- gentoo skipped: it needs root on x86_64"; return
  fi
  ! need gentoo mmdebstrap systemd-nspawn curl gpg pip bc || {
    tools/build-tools.sh x86_64
    cargo build "${HOSTED[@]}" --bin genpack-host
    tests/gentoo/run.sh "$@"
  }
}

# Every target from its kept corpus, with stable Rust; a crash fails. SECONDS: for how long each.
fuzz() { say fuzz; ! need fuzz c++ cpio || FUZZ_SECONDS=${FUZZ_SECONDS:-${1:-60}} tools/fuzz.sh; }

# Emulated machines keep one processor busy: what needs no machine runs beside them, and is told when they are done.
beside() { # STEP OTHERS...
  local step=$1 log=target/beside.log others code=0; shift
  (for other in "$@"; do $other; done) > "$log" 2>&1 & others=$!
  # Also when the step fails: nothing may be left running.
  trap "wait $others || true; cat $log" EXIT
  $step
  wait $others || code=$?
  trap - EXIT; cat "$log"
  return $code
}

case "${1:-quick}" in
  quick) fmt; lint; deps; tests ;;
  fmt | lint | deps | matrix | book | dist | overlay | init | bare | vm | fuzz) "$1" ;;
  gentoo) gentoo ${2:+"$2"} ;; # "small": fewer packages
  test) tests ;;
  all) fmt; lint; deps; init; tests; beside vm "gentoo small" "fuzz 5" ;;
  full) fmt; lint; deps; init; bare; tests; matrix; book; dist; overlay; gentoo; vm full; fuzz ;;
  *) sed -n '2,3p' "$0" >&2; exit 2 ;;
esac
