# Sourced by ./run and ./test, which set $root: packages, configuring, building.
# All of it speaks on standard error; standard output belongs to the program and the test results.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# need "PACKAGE: what for" …: installs by apt what is missing, a line for each.
need() {
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "no apt here; taken to be installed: ${*%%:*}"
    return
  fi
  local installed entry missing=()
  installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${@%%:*}" 2>/dev/null || true)
  for entry in "$@"; do
    if ! grep -qxF "installed ${entry%%:*}" <<<"$installed"; then
      say "installing ${entry%%:*} (${entry#*: })"
      missing+=("${entry%%:*}")
    fi
  done
  if [ ${#missing[@]} -gt 0 ]; then apt_install "${missing[@]}"; fi
}

apt_install() {
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
      say "this needs root, and there is no sudo. Type as root, then start again:"
      printf '  apt-get install --no-install-recommends %s\n' "$*" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq
             -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
  "${apt[@]}" update >&2 || say "the package lists could not be renewed; going on with those here"
  if ! "${apt[@]}" install -y --no-install-recommends "$@" </dev/null >&2; then
    say "apt-get could not install: $*"
    exit 1
  fi
}

need_build_packages() {
  need "g++: compiler" "make: build tool" "cmake: build description" "ninja-build: build tool" \
    "pkg-config: finds libraries" "nlohmann-json3-dev: JSON" "libfmt-dev: text formatting" \
    "libcli11-dev: command line" "libedit-dev: line editing" \
    "libtomlplusplus-dev: settings" "libboost1.81-dev: HTTP server" \
    "zlib1g-dev: compression" "libzstd-dev: compression" \
    "libjpeg62-turbo-dev: pictures" "libpng-dev: pictures" "libwebp-dev: pictures" \
    "libgif-dev: pictures" "libsndfile1-dev: sound" "libsoxr-dev: sound"
}

# What ./run does without: films and M4A, HEIC and AVIF, the microphone.
need_film_packages() {
  need "libavformat-dev: films" "libavcodec-dev: films" "libswscale-dev: films" \
    "libswresample-dev: films" "libheif-dev: pictures" "portaudio19-dev: microphone"
}

# True if this machine can build the Rust library of constrained answers.
has_rust() {
  local version
  command -v cargo >/dev/null || return 1
  version=$(rustc --version 2>/dev/null | cut -d ' ' -f 2) && [ -n "$version" ] || return 1
  [ "$(printf '%s\n' "$oldest_rust" "$version" | sort -V | head -n 1)" = "$oldest_rust" ]
}
oldest_rust=1.87

# Installs Rust. A machine that offers none (no apt, not Debian's security suite) goes on without.
want_rust() {
  if has_rust; then return; fi
  say "installing rustc-web cargo-web (schemas, grammars, tool calls)"
  if ! (apt_install rustc-web cargo-web) >/dev/null 2>&1 || ! has_rust; then
    say "no Rust $oldest_rust here: building without schemas, grammars and constrained tool calls"
  fi
}

# Installs what bundles the page of `fourfold serve`. Without it the server has no page.
want_page() {
  if command -v npm >/dev/null; then return; fi
  say "installing nodejs npm (the page of fourfold serve)"
  if ! (apt_install nodejs npm) >/dev/null 2>&1; then
    say "no npm here: building without the page of fourfold serve"
  fi
}

# configure PRESET [-D…]
configure() {
  local preset=$1 cache=$root/build/$1/CMakeCache.txt
  shift
  if [ -f "$cache" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache"; then
    say "the checkout has moved: building build/$preset afresh"
    rm -rf "$root/build/$preset"
  fi
  # The launcher is part of every compile line: one that changes later would rebuild everything.
  if [ ! -f "$cache" ] && command -v ccache >/dev/null; then
    set -- -DCMAKE_CXX_COMPILER_LAUNCHER=ccache "$@"
  fi
  (cd "$root" && cmake --preset "$preset" "$@") >&2
}

# build PRESET [TARGET…]
build() {
  local preset=$1
  shift
  cmake --build "$root/build/$preset" --parallel "$(nproc)" ${1:+--target "$@"} >&2
}
