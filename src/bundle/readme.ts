import { FILES, type Manifest, nameOf } from "./manifest.ts";

/** What an inspector reads first: what is in the bundle, and how to check it without this program. */
export function readmeOf(manifest: Manifest): string {
  const last = manifest.logs.at(-1);
  if (last === undefined) throw new RangeError("a bundle is of one log at least");
  const { log, first, origin, size } = last;
  return `Record of ${nameOf(manifest.of)}, site ${manifest.site}

This folder holds part of the audit log of a Signalbox service, as it was stored, and what proves that it was not changed.
It can be read and checked without that service. ${manifest.export.entries} entries were exported; the export itself is on record too, as the
entry at position ${manifest.export.position}, which says how many there were.

WHAT IS HERE
  ${FILES.html}, ${FILES.csv}    the record to be read, one line an entry; made from the entries
  log-N/entries.txt           the entries, two lines each: where and when; what was signalled, decided and brought about
  log-N/tree.txt              the hashes of the log's Merkle tree (RFC 6962), from the left to the right:
                              level, index, SHA-256, and of the leaves of these entries their position
  log-N/checkpoint.txt        what the signer signed: the log's name, its size, the root of its tree (base64)
  log-N/keys.notes            checkpoints by which one key of the signer introduced the next, if any did
  deliveries/                 each message as it came, named by the SHA-256 of its bytes, which its entry holds
  definitions/                recipes and state machines that decisions rest on, named by the SHA-256 of the file
  ${FILES.manifest}, ${FILES.sums}   what was exported; the SHA-256 of every file, against damage on the way

WHAT YOU NEED BESIDE IT
The signer's public key, one line that begins with signalbox/${manifest.site}+. Get it from whoever runs the signer. A key that came with
this folder would prove nothing. If somebody kept checkpoints of ${origin} elsewhere, compare them as well.

WITH SIGNALBOX
  npx signalbox verify --bundle THIS_FOLDER --key signer.vkey
  0 sound, 1 altered, 3 incomplete, 4 cannot tell; it names the first file or entry that is wrong.

WITH STOCK TOOLS (sh, sha256sum, xxd, base64, openssl 3), in this folder
1. Every file is as it was written:
     sha256sum -c ${FILES.sums}
   and each delivery and definition has the bytes that its name says:
     for f in deliveries/* definitions/*; do test "$(sha256sum < "$f" | cut -c1-64)" = "$(basename "$f")" || echo "WRONG $f"; done
2. Each entry is a leaf of the tree: SHA-256 of a zero byte and its two lines, without the last line break:
     grep -E '^0 [0-9]+ [0-9a-f]+ [0-9]' log-${log}/tree.txt | { n=1; while read -r level index hash position; do
       got=$({ printf '\\0'; sed -n "$n,$((n + 1))p" log-${log}/entries.txt | head -c -1; } | sha256sum | cut -c1-64)
       test "$got" = "$hash" || echo "WRONG entry $position"; n=$((n + 2)); done; }
   An entry at position p is leaf p - ${first}, and its first line says "position":p. For a batch its first line numbers the entries 1, 2, 3, …
3. The tree has the root that was signed. Two neighbours make the node above them: SHA-256 of a byte 01, the left hash, the right hash:
     node() { printf '01%s%s' "$1" "$2" | xxd -r -p | sha256sum | cut -c1-64; }
     set --; while read -r level index hash rest; do
       while [ $# -gt 0 ] && [ "\${1%% *}" = "$level" ]; do hash=$(node "\${1#* }" "$hash"); level=$((level + 1)); shift; done
       set -- "$level $hash" "$@"; done < log-${log}/tree.txt
     root=\${1#* }; shift; for left in "$@"; do root=$(node "\${left#* }" "$root"); done
     printf '%s' "$root" | xxd -r -p | base64; sed -n 3p log-${log}/checkpoint.txt
   Both lines must be the same. Line 1 of the checkpoint must be ${origin}, line 2 ${size}.
4. The checkpoint was signed with the key. KEY is the line that you were given:
     printf '302a300506032b6570032100' | xxd -r -p > /tmp/key.der
     printf '%s' "$KEY" | cut -d+ -f3- | base64 -d | tail -c 32 >> /tmp/key.der
     head -n 3 log-${log}/checkpoint.txt > /tmp/text
     tail -n 1 log-${log}/checkpoint.txt | cut -d' ' -f3 | base64 -d | tail -c 64 > /tmp/signature
     openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey /tmp/key.der -sigfile /tmp/signature -in /tmp/text
   (A checkpoint that introduces a new key has a fourth line that begins with "key", and two signatures: take 4 lines.)

WHAT IS NOT PROVEN
That what a device or a person said is true. That the log went on as shown behind its last checkpoint. ${
    "batch" in manifest.of
      ? `That nothing was
recorded about the batch after position ${manifest.export.position}.`
      : ""
  }
`;
}
