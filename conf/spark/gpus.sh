#!/bin/sh
# A discovery script: which GPUs this host has, by their numbers, as Spark wants to be told (one line of JSON).
# spark.worker.resource.gpu.discoveryScript on standalone workers, spark.executor.resource.gpu.discoveryScript elsewhere.
set -eu
numbers=$(nvidia-smi --query-gpu=index --format=csv,noheader)
printf '{"name": "gpu", "addresses": [%s]}\n' "$(printf '%s\n' "$numbers" | sed 's/.*/"&"/' | paste -sd, -)"
