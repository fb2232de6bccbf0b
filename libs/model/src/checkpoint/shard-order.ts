/** The orders in which transformers deals tensors out to shards: version 4 in that of the model, version 5 by their names. */

/** Compares names part by part, numbers by their values: `layers.2.` comes before `layers.10.`. */
export function byName(a: string, b: string): number {
  const [left, right] = [a.split('.'), b.split('.')];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const order = compareParts(left[i]!, right[i]!);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

function compareParts(a: string, b: string): number {
  const [isNumber, isOther] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (isNumber && isOther) return Number(a) - Number(b);
  if (isNumber !== isOther) return isNumber ? -1 : 1;
  return a === b ? 0 : a < b ? -1 : 1;
}

/** Whether tensors in this order lie in one shard after another. */
export function isInShardOrder(shards: readonly string[]): boolean {
  return shards.every((shard, i) => i === 0 || shards[i - 1]! <= shard);
}
