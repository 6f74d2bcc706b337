# shellcheck shell=bash
# Sourced: an apt of our own, whose lists, state and cache are under a directory, for packages of other
# architectures and suites. Nothing of the machine's apt changes; its mirrors and Debian's keys are used, so apt
# verifies what it fetches.

suite=$(. /etc/os-release; echo "${VERSION_CODENAME:-}") # of this machine; its mirror has the others, too

mirror() { # SUITE: where the machine's apt fetches that suite from
  apt-get indextargets --no-release-info --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' \
    | awk -v suite="$1" '$2 == suite { print $1; exit }'
}

apt_root() { # DIR SOURCES-LINE...: each is "ARCH,ARCH MIRROR SUITE"; sets APT_CONFIG for this shell
  local apt=$1 line archs; shift
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || { echo "error: this needs apt and dpkg" >&2; return 1; }
  mkdir -p "$apt"/etc/{apt.conf.d,preferences.d,trusted.gpg.d} "$apt"/state/lists/partial "$apt"/cache/archives/partial
  : > "$apt/state/status"
  for line; do
    read -r archs line <<<"$line"
    echo "deb [arch=$archs signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $line main"
  done > "$apt/etc/sources.list"
  cat > "$apt/apt.conf" <<CONF
Dir "$apt"; Dir::Etc "$apt/etc"; Dir::Etc::sourcelist "$apt/etc/sources.list"; Dir::Etc::sourceparts "-";
Dir::State "$apt/state"; Dir::State::status "$apt/state/status"; Dir::Cache "$apt/cache";
Dir::Bin::Methods "/usr/lib/apt/methods"; Acquire::Languages "none"; Acquire::Retries "3";
APT::Sandbox::User "root"; APT::Architecture "amd64"; APT::Architectures { "amd64"; "arm64"; "riscv64"; };
CONF
  export APT_CONFIG=$apt/apt.conf
  apt-get update -qq
}
