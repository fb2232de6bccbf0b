import { untilAborted } from '@rlhf-streams/waiting';

/** Work that runs once for all who join it, and is aborted when the last of them has left. */
export interface SharedWork<T> {
  /** @throws the reason of the caller's signal; what the work throws. */
  join(signal: AbortSignal): Promise<T>;
}

/** Begins `work`, and calls `onAbandoned` before it is aborted: nobody who comes later should join it. */
export function shareWork<T>(
  work: (signal: AbortSignal) => Promise<T>,
  onAbandoned: () => void,
): SharedWork<T> {
  const controller = new AbortController();
  const result = work(controller.signal);
  let waiting = 0;
  let settled = false;
  const settle = () => {
    settled = true;
  };
  result.then(settle, settle);
  return {
    join: async (signal) => {
      waiting++;
      try {
        return await untilAborted(result, signal);
      } finally {
        waiting--;
        if (waiting === 0 && !settled) {
          onAbandoned();
          controller.abort();
        }
      }
    },
  };
}
