#!/usr/bin/env bash
# Builds llama-server from the llama.cpp source in the source distribution of llama-cpp-python
# (both MIT) into the user's cache, once a version: about 7 minutes on two cores.
# Usage: llama-server.sh PYTHON  (one with pip); prints where the program is.
set -euo pipefail

python=${1:-python3}
version=0.3.36
sha256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e

kept=${XDG_CACHE_HOME:-$HOME/.cache}/andon/llama-server-$version
program=$kept/llama-server
mkdir -p "$kept"
exec 9>"$kept/lock"
flock 9 # two at once would build twice
if "$program" --version >/dev/null 2>&1; then
	echo "$program"
	exit
fi

echo "Building llama-server, about 7 minutes on two cores; its log: $kept/build.log" >&2
work=$(mktemp -d "$kept/build.XXXXXX")
exec 3>&2 4>&1 >"$kept/build.log" 2>&1
ended() {
	rm -rf "$work"
	[ "$1" = 0 ] || { tail -n 20 "$kept/build.log"; echo "llama-server could not be built: $kept/build.log"; } >&3
}
trap 'ended $?' EXIT
echo "llama-cpp-python==$version --hash=sha256:$sha256" >"$work/wanted.txt"
"$python" -m pip --disable-pip-version-check --quiet download --no-deps \
	--no-binary llama-cpp-python --require-hashes --requirement "$work/wanted.txt" --dest "$work"
tar -xzf "$work/llama_cpp_python-$version.tar.gz" -C "$work"
cmake=$(command -v cmake) || {
	"$python" -m venv "$work/tools"
	"$work/tools/bin/pip" --disable-pip-version-check --quiet install cmake
	cmake=$work/tools/bin/cmake
}
# The instructions most x86 processors since 2015 have, so that a cache that moves to another
# machine works there too; what lacks them gets its own.
native=OFF
for flag in avx2 fma f16c bmi2; do grep -qm1 "^flags.*\b$flag\b" /proc/cpuinfo || native=ON; done
# Nothing is fetched (the page of the server would be), and it speaks to nobody but its clients.
"$cmake" -S "$work/llama_cpp_python-$version/vendor/llama.cpp" -B "$work/out" \
	-DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DGGML_NATIVE=$native -DGGML_OPENMP=OFF \
	-DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF \
	-DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF
"$cmake" --build "$work/out" --target llama-server --parallel "$(nproc)"
"$work/out/bin/llama-server" --version
strip -o "$work/llama-server" "$work/out/bin/llama-server"
mv "$work/llama-server" "$program"
echo "$program" >&4
