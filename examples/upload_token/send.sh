#!/bin/sh
# Send a file to an Upload that a backend initialized. It needs the id and the token of the Upload,
# and nothing else of the backend:
#
#   PARTWAY_TOKEN=... sh send.sh https://uploads.example UPLOAD_ID FILE
#
# It may be stopped and run again: only the parts that storage lacks are sent.
set -eu
umask 077

rest=$1 upload_id=$2 file=$3
upload=$rest/v1/uploads/$upload_id
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# In a file: the arguments of a process can be seen by everybody.
printf 'authorization: Partway %s\n' "$PARTWAY_TOKEN" >"$work/authorization"

call() {
  curl --silent --show-error --fail-with-body --header @"$work/authorization" --json '{}' "$1"
}

# Writes the method, URL and headers of each part as a configuration of curl, and its place in the
# file. All of them are signed: curl must send exactly these.
plan='
import json, pathlib, sys
for part in json.load(sys.stdin)["parts"]:
    to = pathlib.Path(sys.argv[1], "%05d.curl" % part["partNumber"])
    lines = ["request = " + part["method"], "url = " + json.dumps(part["url"])]
    lines += ["header = " + json.dumps(f"{k}: {v}") for k, v in part["headers"].items()]
    to.write_text("\n".join(lines) + "\n")
    to.with_suffix(".place").write_text(part["offsetBytes"] + " " + part["sizeBytes"] + "\n")
'

while true; do
  # At most a thousand parts at a time, of those that storage lacks.
  call "$upload:batchPresignParts" | python3 -c "$plan" "$work"
  set -- "$work"/*.curl
  [ -e "$1" ] || break
  for part in "$@"; do
    read -r offset size <"${part%.curl}.place"
    tail -c "+$((offset + 1))" "$file" | head -c "$size" >"$work/slice"
    curl --silent --show-error --fail --config "$part" --upload-file "$work/slice"
    rm "$part"
    echo "sent $size bytes at $offset"
  done
done

call "$upload:complete"
echo
