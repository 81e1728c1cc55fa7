#!/usr/bin/env bash
kcat -q -u -b "$KAFKA" -X auto.offset.reset=earliest -G hello -f '%h\t%s\n' hello.requests |
while IFS=$'\t' read -r headers body; do
  [[ $headers =~ parley-request-id=([^,]+) ]] && id=${BASH_REMATCH[1]}
  [[ $headers =~ parley-reply-topic=([^,]+) ]] && topic=${BASH_REMATCH[1]}
  printf '%s\n' "$body" | kcat -P -b "$KAFKA" -t "$topic" -k "$id" -X topic.partitioner=murmur2_random
done
