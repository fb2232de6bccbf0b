#!/bin/sh
# Measures on a bare GPU machine what `npm run bench -- --only device` does: see README.md. In the folder that the pack of
# pack-device.mjs was unpacked into:
#     SECONDS_LEFT=400 sh test/src/bench/device/run-device.sh [--filter WORDS]... [--tiny]
set -eu
cd "$(dirname "$0")/../../../.."
: "${KIT:=/opt/kit}" "${OUT:=$PWD/out}" "${SECONDS_LEFT:=3600}" "${RLHF_PYTHON:=python3}"
: "${TENSORFLOW_LIBRARIES:=$KIT/tf/tensorflow}"
export RLHF_PYTHON
begun=$(date +%s)
mkdir -p "$OUT"
step() { printf '\n== %s (after %s s)\n' "$1" $(($(date +%s) - begun)); }

# Node, where TensorFlow finds CUDA, and where XLA finds its compiler.
if [ -f "$KIT/env.sh" ]; then . "$KIT/env.sh"; fi
[ ! -x "$KIT/bin/node" ] || PATH="$KIT/bin:$PATH"
export PATH TF_FORCE_GPU_ALLOW_GROWTH=true TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-1}"
# Kernels that are compiled for the GPU at their first use are kept for the processes after it.
export CUDA_CACHE_PATH="${CUDA_CACHE_PATH:-$OUT/../cuda-cache}" CUDA_CACHE_MAXSIZE=4294967296

for package in node_modules/@tensorflow/tfjs-node*; do
  if [ ! -e "$package/deps/lib" ]; then
    mkdir -p "$package/deps"
    ln -sfn "$TENSORFLOW_LIBRARIES" "$package/deps/lib"
  fi
done

step 'the machine'
nvidia-smi || echo 'nvidia-smi did not run'
echo "node $(node --version), $(nproc) cores"
"$RLHF_PYTHON" -c 'import torch, transformers; print("torch", torch.__version__, "transformers", transformers.__version__)' || true

step 'measurements'
: >"$OUT/log.txt"
node test/dist/bench/device/main.js --out "$OUT" --seconds $((SECONDS_LEFT - $(date +%s) + begun)) "$@" 2>>"$OUT/log.txt" &
measuring=$!
# Results are shown as they come; what libraries have to say stays in the log.
tail --pid="$measuring" -n +1 -f "$OUT/log.txt" 2>/dev/null | grep --line-buffered -E '^(train|prefill|decode) ' || true
wait "$measuring" || { tail -n 20 "$OUT/log.txt"; exit 1; }
step 'done'
