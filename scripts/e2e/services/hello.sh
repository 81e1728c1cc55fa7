#!/usr/bin/env bash
kcat -q -u -b "$KAFKA" -X auto.offset.reset=earliest -G hello -f '%h\t%s\x1e' hello.requests |
while IFS=$'\t' read -r -d $'\x1e' headers body; do
  [[ $headers =~ parley-request-id=([^,]+) ]] && id=${BASH_REMATCH[1]}
  [[ $headers =~ parley-reply-topic=([^,]+) ]] && topic=${BASH_REMATCH[1]}
  printf '%s\t%s\x1e' "$id" "$body" |
    kcat -P -b "$KAFKA" -t "$topic" -K $'\t' -D $'\x1e' -X topic.partitioner=murmur2_random
done
