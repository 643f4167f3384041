#!/bin/sh
# Prints .env.example with a random value behind every name that has none: sh conf/secrets.sh > .env
# Each is 32 bytes as URL-safe base64, which is what Airflow asks of a Fernet key, and which may stand in a URI.
set -eu
cd "$(dirname "$0")/.."
while IFS= read -r line; do
    case $line in
    [A-Z]*=) printf '%s%s\n' "$line" "$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')" ;;
    *) printf '%s\n' "$line" ;;
    esac
done <.env.example
