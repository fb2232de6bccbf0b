import { setMaxListeners } from 'node:events';

/** Lets readers sleep until a topic has something new: no polling. */
export interface Wakeups {
  wake(topics: Iterable<string>): void;
  /** Resolves at the next `wake` of one of the topics, or when one of the signals aborts. */
  wait(topics: readonly string[], signals: readonly AbortSignal[]): Promise<void>;
}

export function createWakeups(): Wakeups {
  const sleepers = new Map<string, Set<() => void>>();
  return {
    wake(topics) {
      for (const topic of topics) for (const rouse of [...(sleepers.get(topic) ?? [])]) rouse();
    },
    wait(topics, signals) {
      if (signals.some(({ aborted }) => aborted)) return Promise.resolve();
      return new Promise((resolve) => {
        const rouse = () => {
          for (const topic of topics) {
            const sleeping = sleepers.get(topic);
            if (sleeping?.delete(rouse) && sleeping.size === 0) sleepers.delete(topic);
          }
          for (const signal of signals) signal.removeEventListener('abort', rouse);
          resolve();
        };
        for (const topic of topics) {
          const sleeping = sleepers.get(topic) ?? new Set();
          sleepers.set(topic, sleeping.add(rouse));
        }
        for (const signal of signals) {
          // All readers of a log listen to its end: that many listeners are no leak.
          setMaxListeners(0, signal);
          signal.addEventListener('abort', rouse, { once: true });
        }
      });
    },
  };
}
