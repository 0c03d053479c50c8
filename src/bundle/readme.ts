import { FILES, type Manifest, nameOf } from "./manifest.ts";

/** What an inspector reads first: what is in the bundle, and how to check it without this program. */
export function readmeOf(manifest: Manifest): string {
  const last = manifest.logs.at(-1);
  if (last === undefined) throw new RangeError("a bundle is of one log at least");
  const { origin } = last;
  const folders = manifest.logs.map(({ log }) => `log-${log}`).join(" ");
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
  log-N/deliveries.bin        each message as it came, one behind the other; its entry holds the SHA-256 of its bytes
  log-N/deliveries.txt        where in that file they are: position, first byte (from 0), how many bytes
  definitions/                recipes and state machines that decisions rest on, named by the SHA-256 of the file
  ${FILES.manifest}, ${FILES.sums}   what was exported; the SHA-256 of every file, against damage on the way

WHAT YOU NEED BESIDE IT
The signer's first public key, one line that begins with signalbox/${manifest.site}+. Get it from whoever runs the signer. A key that came
with this folder would prove nothing. If somebody kept checkpoints of ${origin} elsewhere, compare them as well.

WITH SIGNALBOX
  npx signalbox verify --bundle THIS_FOLDER --key signer.vkey
  0 sound, 1 altered, 3 incomplete, 4 cannot tell; it names the first file or entry that is wrong.

WITH STOCK TOOLS (sh, sed, awk, xxd, base64, sha256sum, openssl 3), in this folder; nothing may say WRONG, FAILED or Failure
1. Every file is as it was written:
     sha256sum -c ${FILES.sums}
   and each definition has the bytes that its name says:
     for f in definitions/*; do test -f "$f" || continue
       test "$(sha256sum < "$f" | cut -c1-64)" = "$(basename "$f")" || echo "WRONG $f"; done
2. Each entry is a leaf of the tree: SHA-256 of a zero byte and its two lines, without the last line break:
     for log in ${folders}; do
       grep -E '^0 [0-9]+ [0-9a-f]+ [0-9]' $log/tree.txt | { n=1; while read -r level index hash position; do
         got=$({ printf '\\0'; sed -n "$n,$((n + 1))p" $log/entries.txt | head -c -1; } | sha256sum | cut -c1-64)
         test "$got" = "$hash" || echo "WRONG entry $position"; n=$((n + 2)); done; }; done
   The first line of the entry at position p says "position":p; for a batch it numbers the entries 1, 2, 3, … In tree.txt it is
   leaf ${manifest.logs.map(({ log, first }) => `p - ${first} of log ${log}`).join(", ")}.
   Each delivery has the SHA-256 that its entry holds:
     for log in ${folders}; do
       test ! -f $log/deliveries.txt || awk '
         NR % 2 { match($0, /"position":[0-9]+/); position = substr($0, RSTART + 11, RLENGTH - 11); next }
         match($0, /"raw_sha256":"[0-9a-f]+"/) { print position, substr($0, RSTART + 14, 64) }' $log/entries.txt |
         paste -d ' ' - $log/deliveries.txt | while read -r position hash place offset length; do
           got=$(tail -c +$((offset + 1)) $log/deliveries.bin | head -c "$length" | sha256sum | cut -c1-64)
           test "$position $hash" = "$place $got" || echo "WRONG delivery $position"; done; done
3. The tree has the root that was signed. Two neighbours make the node above them: SHA-256 of a byte 01, the left hash, the right hash:
     node() { printf '01%s%s' "$1" "$2" | xxd -r -p | sha256sum | cut -c1-64; }
     for log in ${folders}; do
       set --; while read -r level index hash rest; do
         while [ $# -gt 0 ] && [ "\${1%% *}" = "$level" ]; do hash=$(node "\${1#* }" "$hash"); level=$((level + 1)); shift; done
         set -- "$level $hash" "$@"; done < $log/tree.txt
       root=\${1#* }; shift; for left in "$@"; do root=$(node "\${left#* }" "$root"); done
       root=$(printf '%s' "$root" | xxd -r -p | base64)
       test "$root" = "$(sed -n 3p $log/checkpoint.txt)" && echo "$log has the root $root" || echo "WRONG root of $log"; done
   Lines 1 and 2 of a checkpoint are the log's name and its size: ${manifest.logs.map((one) => `${one.origin}, ${one.size}`).join("; ")}.
4. The checkpoint was signed with the key. KEY is the line that you were given; a key that came after it was introduced by a note that
   both have signed, so the notes are followed first, in their order:
     t=$(mktemp -d)
     signed() { # by a key: a note's lines before its empty one; the signature that begins with the key's four bytes
       { printf '302a300506032b6570032100' | xxd -r -p; printf '%s' "$2" | cut -d+ -f3- | base64 -d | tail -c 32; } > "$t/key.der"
       sed '/^$/,$d' "$1" > "$t/text"; : > "$t/signature"
       sed -n '/^— /s/.* //p' "$1" | while read -r s; do
         test "$(printf '%s' "$s" | base64 -d | head -c 4 | xxd -p)" = "$(printf '%s' "$2" | cut -d+ -f2)" || continue
         printf '%s' "$s" | base64 -d | tail -c 64 > "$t/signature"; done
       openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey "$t/key.der" -sigfile "$t/signature" -in "$t/text"; }
     for log in ${folders}; do
       key=$KEY; n=1
       test ! -f $log/keys.notes || awk -v t="$t" '/^signalbox\\//{n++} {print > (t "/note-" n)}' $log/keys.notes
       while test -f "$t/note-$n"; do
         next=$(sed -n 's/^key //p' "$t/note-$n")
         echo "$log is signed with $next since a note of"; sed -n 1,2p "$t/note-$n"
         signed "$t/note-$n" "$key" && signed "$t/note-$n" "$next" && key=$next; n=$((n + 1)); done
       echo "$log, signed with $key:"; signed $log/checkpoint.txt "$key"; done
     rm -r "$t"

WHAT IS NOT PROVEN
That what a device or a person said is true. That the log went on as shown behind its last checkpoint. ${
    "batch" in manifest.of
      ? `That nothing was
recorded about the batch after position ${manifest.export.position}.`
      : ""
  }
`;
}
