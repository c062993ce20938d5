#!/usr/bin/env bash
# Checks that everything compiles with the feature `cuda`, on a machine without a GPU and without CUDA.
#
# Candle's build compiles kernels with nvcc. Where there is none, a stand-in takes its place that writes empty kernels and says what
# version it is of: enough for the compiler to check every line of Rust, and for nothing else. What is made stays below target/cuda,
# away from what is used.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/cuda
if ! command -v nvcc > /dev/null; then
    stand_in=$PWD/target/cuda-stand-in
    mkdir -p "$stand_in/bin" "$stand_in/include" "$stand_in/lib64"
    cat > "$stand_in/bin/nvcc" <<'NVCC'
#!/usr/bin/env bash
# Writes an empty file wherever a compiler would write a result.
case " $* " in *" --version "*)
    echo "Cuda compilation tools, release 13.0, V13.0.0"
    exit 0 ;;
esac
while [ $# -gt 0 ]; do
    case $1 in
        -o | --output-file) shift; : > "$1" ;;
        --output-file=*) : > "${1#*=}" ;;
        --output-directory | -odir) shift; folder=$1 ;;
        *.cu) sources+=("$1") ;;
    esac
    shift
done
if [ -n "${folder:-}" ]; then
    for source in "${sources[@]}"; do
        name=$(basename "$source" .cu)
        : > "$folder/$name.ptx"
        : > "$folder/$name.o"
    done
fi
NVCC
    chmod +x "$stand_in/bin/nvcc"
    echo '#define CUDA_VERSION 13000' > "$stand_in/include/cuda.h"
    export PATH="$stand_in/bin:$PATH" CUDA_HOME=$stand_in CUDA_PATH=$stand_in CUDA_ROOT=$stand_in CUDA_TOOLKIT_ROOT_DIR=$stand_in
    echo "no nvcc: the kernels are left out, and only the Rust code is checked"
fi
export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-90}
exec cargo clippy --locked --all-targets --features cuda "$@" -- -D warnings
