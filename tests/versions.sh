#!/usr/bin/env bash
# Builds the components of the commits in versions.txt: target/versions/COMMIT.wasm. Needs the commits, so not a shallow clone.
set -euo pipefail
cd "$(dirname "$0")/.."
wasm=wasm32-unknown-unknown
grep -v '^#' tests/versions.txt | while read -r commit what; do
	component=target/versions/$commit.wasm
	if [ -e "$component" ]; then continue; fi
	if ! git cat-file -e "$commit^{commit}" 2>/dev/null; then
		echo "This clone has no commit $commit ($what). A shallow clone gets it with: git fetch --unshallow"
		exit 1
	fi
	echo "Building the component of $commit: $what"
	sources=target/versions/sources
	rm -rf "$sources" && mkdir -p "$sources"
	git archive "$commit" | tar -x -C "$sources"
	# In a folder of its own: its features are not those of today.
	(cd "$sources" && CARGO_TARGET_DIR=../build CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="-C target-feature=+simd128" \
		"${CARGO:-cargo}" build --profile component --target $wasm --package salesforce-source --locked)
	target/release/xtask componentize "target/versions/build/$wasm/component/salesforce_source.wasm" "$component.part"
	mv "$component.part" "$component"
done
