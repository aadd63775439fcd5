#!/usr/bin/env bash
# Builds the Dockerfile with buildah, without a registry: the builder is made of the Go and the modules that are
# here, and of busybox; it compiles into the build cache that is here. Then it runs what came out, in a chroot and as the user of the image. Wants root,
# buildah and a static busybox; says SKIP where one of them is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() { echo "SKIP image: $*"; exit 0; }
[ "$(id -u)" = 0 ] || skip "needs root for a chroot"
for program in buildah busybox chroot; do
	command -v "$program" >/dev/null || skip "no $program (Debian: buildah, busybox-static)"
done
[ -s /etc/ssl/certs/ca-certificates.crt ] || skip "no CA certificates (Debian: ca-certificates)"

work=$(mktemp -d)
store() { buildah --storage-driver vfs --root "$work/root" --runroot "$work/run" "$@"; }
server= proc=
finish() {
	[ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null || true
	[ -z "$proc" ] || umount "$proc" || umount -l "$proc"
	store umount --all >/dev/null 2>&1 || true
	store rm --all >/dev/null 2>&1 || true
	chmod -R u+w "$work"
	rm -rf "$work"
}
trap finish EXIT
fail() { echo "image: $*"; exit 1; }

echo "builder: $(go version)"
go mod download
builder=$(store from scratch)
root=$(store mount "$builder")
mkdir -p "$root/bin" "$root/tmp" "$root/etc/ssl/certs" "$root/usr/local"
cp "$(command -v busybox)" "$root/bin/busybox"
for name in sh mkdir chmod cp cat env; do ln -s busybox "$root/bin/$name"; done
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
cp -R "$(go env GOROOT)" "$root/usr/local/go"
store umount "$builder" >/dev/null
store config --env PATH=/usr/local/go/bin:/bin --env HOME=/tmp --env GOPATH=/go --env GOCACHE=/cache --env GOTOOLCHAIN=local \
	--env GOPROXY=off --env GOFLAGS=-buildvcs=false "$builder"
store commit -q --rm "$builder" localhost/builder >/dev/null

version=image-check
store bud --isolation chroot --format docker --from localhost/builder --build-arg VERSION="$version" \
	-v "$(go env GOMODCACHE):/go/pkg/mod" -v "$(go env GOCACHE):/cache" -t localhost/assay-ledger . >"$work/log" 2>&1 || { cat "$work/log"; fail "it does not build"; }

for want in '"User": "65532:65532"' '"/data": {}' '"/data.guard": {}' '"Healthcheck"' '"http://127.0.0.1:8080"'; do
	store inspect --type image localhost/assay-ledger | grep -qF "$want" || fail "its configuration lacks $want"
done
made=$(store from --pull-never localhost/assay-ledger)
root=$(store mount "$made")
mkdir -p "$root/proc" # as every container has it
mount -t proc proc "$root/proc"
proc=$root/proc
in_image() { chroot --userspec=65532:65532 "$root" /bin/"$@"; }
for program in assay ledger; do
	says=$(in_image "$program" version) || fail "$program does not run"
	[[ "$says" == "$program $version"* ]] || fail "$program says it is $says"
done
for file in LICENSE THIRD_PARTY_LICENSES.txt; do
	cmp -s "$file" "$root/usr/share/doc/assay-ledger/$file" || fail "it does not carry $file"
done
[ -s "$root/etc/ssl/certs/ca-certificates.crt" ] || fail "it has no CA certificates"

in_image ledger init /data --origin image.example --timestamps off --listen 127.0.0.1:0 2>/dev/null || fail "no ledger in its volume"
[ -n "$(ls "$root/data.guard")" ] || fail "the guard is not in its own volume"
mkfifo "$work/says"
chroot --userspec=65532:65532 "$root" /bin/ledger serve /data --listen 127.0.0.1:0 >"$work/says" 2>"$work/server.log" &
server=$!
read -r line <"$work/says" || { cat "$work/server.log"; fail "it does not serve"; }
url=${line#listening on }
in_image ledger health "$url" || fail "its ledger is not healthy"
kill "$server"
wait "$server" || fail "its ledger does not end well"
server=
status=0
in_image ledger health "$url" 2>/dev/null || status=$?
[ "$status" = 4 ] || fail "health of a ledger that has ended exits $status, want 4"
echo "image: built, versions, licences, volumes and health hold ($(du -sh "$root/bin" | cut -f1) of programs)"
