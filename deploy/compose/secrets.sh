#!/bin/sh
# Makes the secrets of compose.yaml, in the folder `secrets` beside this file, unless they are there.
# The folder is for its owner alone; the files in it can be read by the users of the containers.
set -eu
cd "$(dirname "$0")"

if [ -e secrets ]; then
  echo "$PWD/secrets is there already; nothing was changed." >&2
  exit 0
fi
umask 077
work=$(mktemp -d secrets.XXXXXX)
trap 'rm -rf "$work"' EXIT

for name in redis_password s3_control_secret s3_signer_secret grafana_password; do
  openssl rand -hex 24 | tr -d '\n' >"$work/$name"
done
openssl rand -base64 64 | tr -d '\n' >"$work/sealing_keys"
printf 'redis://:%s@redis:6379/0' "$(cat "$work/redis_password")" >"$work/redis_url"
{
  echo "requirepass $(cat "$work/redis_password")"
  echo "maxmemory-policy noeviction"
  echo "appendonly yes"
  echo "protected-mode yes"
} >"$work/redis_conf"
sed -e "s/CONTROL_SECRET/$(cat "$work/s3_control_secret")/" \
  -e "s/SIGNER_SECRET/$(cat "$work/s3_signer_secret")/" \
  -e "s/BUCKET/uploads/g" ../iam/s3.json >"$work/s3_identities"

chmod 644 "$work"/*
mv "$work" secrets
trap - EXIT
echo "$PWD/secrets"
