#!/usr/bin/env bash
# Fetches what the tests of the page need and this machine lacks, to a cache outside of the repository, without root: playwright-core by npm,
# Chromium's headless shell by apt. Prints nothing but reasons for a failure. Usage: fetch.sh CACHE
set -euo pipefail
cache=$1
mkdir -p "$cache"

if [ ! -e "$cache/node_modules/playwright-core/package.json" ]; then
  npm install --prefix "$cache" --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error --fetch-retries=1 --fetch-timeout=30000 playwright-core@1.65.1 >&2
fi

for name in chromium-headless-shell chromium chromium-browser google-chrome; do
  command -v "$name" >/dev/null && exit 0
done
[ -e "$cache/chromium/usr/lib/chromium/chromium-headless-shell" ] && exit 0
command -v apt-get >/dev/null && command -v dpkg >/dev/null || { echo "no Chromium, and no apt to fetch it with" >&2; exit 1; }

# Lists and archives of its own: the system's need root.
apt="$cache/apt"
mkdir -p "$apt/lists/partial" "$apt/archives/partial"
options=(-o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt" -o "Dir::Cache::archives=$apt/archives" -o Debug::NoLocking=1 -o APT::Sandbox::User=root -o Acquire::Retries=0 -o Acquire::http::Timeout=20 -qq)
apt-get "${options[@]}" update >&2
mapfile -t packages < <(apt-get "${options[@]}" install -s --no-install-recommends chromium-headless-shell | sed -n 's/^Inst \([^ ]*\).*/\1/p')
(cd "$apt/archives" && apt-get "${options[@]}" download "${packages[@]}" >&2)
mkdir -p "$cache/chromium.new"
for package in "$apt"/archives/*.deb; do
  dpkg -x "$package" "$cache/chromium.new"
done
rm -rf "$apt" "$cache/chromium"
mv "$cache/chromium.new" "$cache/chromium"
