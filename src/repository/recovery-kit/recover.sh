#!/usr/bin/env bash
# Restores a snapshot of this Lifeboat repository without Lifeboat. Needs: age, zstd, jq, GNU tar and coreutils.
#   bash recover.sh IDENTITY_FILE list
#   bash recover.sh IDENTITY_FILE SNAPSHOT TARGET_DIRECTORY
# The repository is where the script lies, or REPOSITORY=DIRECTORY. MEDIA=DIRECTORY: media that are not in the repository.
# Run it from a copy of the script that you trust: it is given the key that opens everything. See RECOVER.md.
# `sh recover.sh` works too: dash, Debian's sh, knows neither pipefail nor arrays.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail
umask 077
export LC_ALL=C

die() { printf 'recover: %s\n' "$*" >&2; exit 1; }
usage() { die 'usage: recover.sh IDENTITY_FILE list | recover.sh IDENTITY_FILE SNAPSHOT TARGET_DIRECTORY'; }

[ $# -ge 2 ] || usage
identity=$(realpath -- "$1")
repository=$(realpath -- "${REPOSITORY:-$(dirname -- "$(realpath -- "$0")")}")
[ -d "$repository/log" ] || die "there is no repository at $repository: name it as REPOSITORY=DIRECTORY"
for tool in age zstd jq tar sha256sum; do
  command -v "$tool" >/dev/null || die "$tool is needed"
done

# First lines of all records, oldest first; a forgotten snapshot is not shown.
snapshots() {
  for record in "$repository"/log/*.json; do head -n 1 -- "$record"; done |
    jq -c -n '[inputs] | (map(select(.type == "forget") | .snapshots[].id)) as $gone
      | .[] | select(.type == "snapshot") | select(.id as $id | $gone | index($id) | not)'
}

if [ "$2" = list ]; then
  snapshots | jq -r '[.id, .time, .server_name, (.files | tostring) + " files", (.bytes | tostring) + " bytes"] | join("  ")'
  exit 0
fi
[ $# -eq 3 ] || usage

record=$(snapshots | jq -c --arg name "$2" 'select($name == "latest" or (.id | startswith($name)))' | tail -n 1)
[ -n "$record" ] || die "there is no snapshot $2"
mkdir -p -- "$3"
target=$(realpath -- "$3")
[ -z "$(ls -A -- "$target")" ] || die "$target is not empty"
work=$(mktemp -d -- "$target/.recover-XXXXXX")
# The data key is in clear only here: a directory of mode 700, in memory where that can be had.
private=${TMPDIR:-/dev/shm}
{ [ -d "$private" ] && [ -w "$private" ]; } || private=/tmp
secret=$(mktemp -d -- "$private/recover-XXXXXX")
trap 'rm -rf -- "$work" "$secret"' EXIT
mkdir -- "$work/blobs"

# The name of an object is the SHA-256 of its bytes: anything else is not what the signed log names.
intact() {
  case "$1" in *..* | /*) die "bad object name $1" ;; esac
  [ -f "$repository/$1" ] || die "object $1 is missing"
  name=${1##*/}
  [ "$(sha256sum <"$repository/$1" | cut -c 1-64)" = "${name%%.*}" ] || die "object $1 is damaged"
}

# The identity opens the data key, and that everything else. The newest list of recipients in the log names its object,
# lifeboat.json the first one.
data_key=$(
  for record in "$repository"/log/*.json; do head -n 1 -- "$record"; done |
    jq -r -n --slurpfile config "$repository/lifeboat.json" \
      '[$config[0].data_key_object, (inputs | select(.type == "recipients") | .data_key)] | last'
)
intact "$data_key"
age -d -i "$identity" -o "$secret/data-key.txt" "$repository/$data_key" ||
  die "the identity does not open the data key, $data_key"

opened() {
  intact "$1"
  age -d -i "$secret/data-key.txt" "$repository/$1"
}

# Blob ids on standard input -> content. Frames of zstd can be joined before they are decompressed; the empty one in front
# stands for files without any blob.
zstd -q -c </dev/null >"$work/empty.zst"
content() {
  sed "s|^|$work/blobs/c/|" | tr '\n' '\0' | xargs -0 cat -- "$work/empty.zst" | zstd -d -q -c
}

# file DESTINATION SHA256 : content of standard input, compared with what was backed up.
file() {
  cat >"$1"
  [ "$(sha256sum <"$1" | cut -c 1-64)" = "$2" ] || die "$1 does not have the bytes that were backed up"
}

safe() {
  case "/$1/" in */../* | */./* | *//*) die "bad path $1" ;; esac
}

root=$work/root.json
opened "$(jq -r .manifest <<<"$record")" | zstd -d -q -c >"$root"
jq .manifest "$root" >"$target/manifest.json"

for part in keys config; do
  mkdir -- "$target/$part"
  opened "$(jq -r ".manifest.$part.archive.object" "$root")" | tar -x -C "$target/$part" --no-same-owner
done
printf 'recover: keys and configuration are in %s\n' "$target" >&2

# Media that were copied elsewhere, in clear: where the manifest says, or MEDIA=DIRECTORY; MEDIA=none goes on without them.
external=$(jq -r '.manifest.media.external // empty | .place + "/" + .generation' "$root")
[ -z "$external" ] || external=${MEDIA:-$external}
[ -z "$external" ] || [ "$external" = none ] || [ -d "$external" ] ||
  die "the media are at $external: bring them to this machine and name the directory as MEDIA=DIRECTORY (or MEDIA=none)"

number=0
while IFS= read -r shard; do
  number=$((number + 1))
  opened "$shard" | zstd -d -q -c >"$work/shard-$number"
done < <(jq -r '.shards[].object' "$root")

{
  jq -r '.packs[]' "$root"
  for ((i = 1; i <= number; i++)); do head -n 1 -- "$work/shard-$i" | jq -r '.packs[]'; done
} | sort -u >"$work/packs"
while IFS= read -r pack; do
  opened "$pack" | tar -x -C "$work/blobs" --no-same-owner --wildcards 'c/*'
done <"$work/packs"
printf 'recover: %s packs opened\n' "$(wc -l <"$work/packs")" >&2

mkdir -- "$target/database" "$target/media"
dumps=0
while IFS= read -r -d '' name && IFS= read -r -d '' sha256; do
  safe "$name"
  jq -r --arg name "$name" '.manifest.database.dumps[] | select(.name == $name) | .content.blobs[]' "$root" |
    content | file "$target/database/$name" "$sha256"
  dumps=$((dumps + 1))
done < <(jq -j '.manifest.database.dumps[] | .name + "\u0000" + .content.sha256 + "\u0000"' "$root")

# Databases beside the homeserver's: database/SERVICE/NAME.
while IFS= read -r -d '' service && IFS= read -r -d '' name && IFS= read -r -d '' sha256; do
  safe "$service/$name"
  mkdir -p -- "$target/database/$service"
  jq -r --arg service "$service" --arg name "$name" \
    '.manifest.databases[] | select(.label == $service) | .dumps[] | select(.name == $name) | .content.blobs[]' "$root" |
    content | file "$target/database/$service/$name" "$sha256"
  dumps=$((dumps + 1))
done < <(jq -j '.manifest.databases // [] | .[] | .label as $service | .dumps[]
  | $service + "\u0000" + .name + "\u0000" + .content.sha256 + "\u0000"' "$root")
# A failure inside <( ) ends nothing by itself.
[ "$dumps" = "$(jq '[.manifest.database, (.manifest.databases // [] | .[]) | .dumps[]] | length' "$root")" ] ||
  die "only $dumps dumps could be written to $target/database"

count=0
for ((i = 1; i <= number; i++)); do
  while IFS= read -r -d '' path && IFS= read -r -d '' key && IFS= read -r -d '' sha256 && IFS= read -r -d '' blobs; do
    safe "$path"
    safe "$key"
    [ "$external" != none ] || continue
    mkdir -p -- "$target/media/$(dirname -- "$path")"
    if [ -z "$external" ]; then
      printf '%s' "$blobs" | content | file "$target/media/$path" "$sha256"
    else
      # In a bucket some have another key than their path.
      [ -f "$external/$key" ] || die "$external/$key is missing"
      file "$target/media/$path" "$sha256" <"$external/$key"
    fi
    count=$((count + 1))
  done < <(tail -n +2 -- "$work/shard-$i" |
    jq -j '.path + "\u0000" + (.object.key // .path) + "\u0000" + .sha256 + "\u0000" + (.blobs | map(. + "\n") | add // "") + "\u0000"')
done
printf 'recover: %s media files and %s dumps are in %s\n' "$count" "$dumps" "$target" >&2
