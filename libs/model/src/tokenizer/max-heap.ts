export interface HeapEntry {
  priority: number;
  key: number;
}

/** A binary heap whose top has the highest priority and, among equals, the smallest key. */
export function createMaxHeap() {
  const entries: HeapEntry[] = [];
  const above = (a: HeapEntry, b: HeapEntry) =>
    a.priority > b.priority || (a.priority === b.priority && a.key < b.key);

  return {
    push(priority: number, key: number): void {
      const entry = { priority, key };
      let at = entries.length;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (!above(entry, entries[parent]!)) break;
        entries[at] = entries[parent]!;
        at = parent;
      }
      entries[at] = entry;
    },

    pop(): HeapEntry | undefined {
      const top = entries[0];
      const last = entries.pop();
      if (last === undefined || entries.length === 0) return top;
      let at = 0;
      for (;;) {
        let child = 2 * at + 1;
        if (child >= entries.length) break;
        if (child + 1 < entries.length && above(entries[child + 1]!, entries[child]!)) child++;
        if (!above(entries[child]!, last)) break;
        entries[at] = entries[child]!;
        at = child;
      }
      entries[at] = last;
      return top;
    },
  };
}
