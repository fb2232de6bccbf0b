/** Lets readers sleep until a topic has something new, without polling. */
export interface Wakeups {
  wake(topics: Iterable<string>): void;
  /** Resolves at the next `wake` of one of the topics, or when the signal aborts. */
  wait(topics: readonly string[], signal: AbortSignal): Promise<void>;
}

export function createWakeups(): Wakeups {
  const sleepers = new Map<string, Set<() => void>>();
  return {
    wake(topics) {
      for (const topic of topics) for (const rouse of [...(sleepers.get(topic) ?? [])]) rouse();
    },
    wait(topics, signal) {
      if (signal.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const rouse = () => {
          for (const topic of topics) {
            const sleeping = sleepers.get(topic);
            if (sleeping?.delete(rouse) && sleeping.size === 0) sleepers.delete(topic);
          }
          signal.removeEventListener('abort', rouse);
          resolve();
        };
        for (const topic of topics) {
          const sleeping = sleepers.get(topic) ?? new Set();
          sleepers.set(topic, sleeping.add(rouse));
        }
        signal.addEventListener('abort', rouse, { once: true });
      });
    },
  };
}
