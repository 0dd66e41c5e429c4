#!/bin/sh
# A try-on with curl: sh resource/clients/tryon.sh person.jpg garment.jpg result.png
# An app with accounts: set CATVTON_KEY to an API key.
set -eu
app="${APP:-http://127.0.0.1:7860}"

curl --silent --show-error --fail-with-body "$app/v1/tryon" \
  ${CATVTON_KEY:+--header "Authorization: Bearer $CATVTON_KEY"} \
  --form "person=@$1" --form "garment=@$2" --form part=upper --form seed=42 \
  --output "$3" \
  || { cat "$3" >&2; rm -f "$3"; exit 1; } # what came instead of the picture: {"code": ..., "message": ...}
echo "$3"
