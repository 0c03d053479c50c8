/** The hashes with one bit of one of them turned. */
export function turn(hashes: readonly Buffer[], bit: number): readonly Buffer[] {
  const all = Buffer.concat([...hashes]);
  const at = bit % (all.length * 8);
  all.writeUInt8(all.readUInt8(at >> 3) ^ (1 << (at & 7)), at >> 3);
  return hashes.map((hash, i) => all.subarray(i * 32, i * 32 + hash.length));
}
