/** A condition variable: work waits until what it looks at has changed. */
export interface Watch {
  /** Makes everybody who waits look again. */
  changed(): void;
  /**
   * The first value other than undefined and false that `select` finds, now or after a change.
   * @throws what `select` throws; the signal's reason.
   */
  until<Found>(
    select: () => Found | undefined | false,
    signal: AbortSignal,
  ): Promise<Exclude<Found, undefined | false>>;
}

export function createWatch(): Watch {
  const waiting = new Set<() => void>();
  return {
    changed() {
      for (const look of [...waiting]) look();
    },
    async until<Found>(select: () => Found | undefined | false, signal: AbortSignal) {
      let leave = () => {};
      try {
        return await new Promise<Exclude<Found, undefined | false>>((resolve, reject) => {
          const onAbort = () => reject(signal.reason);
          const look = () => {
            try {
              const found = select();
              if (found === undefined || found === false) return;
              leave();
              resolve(found as Exclude<Found, undefined | false>);
            } catch (error) {
              leave();
              reject(error);
            }
          };
          leave = () => {
            waiting.delete(look);
            signal.removeEventListener('abort', onAbort);
          };
          signal.throwIfAborted();
          waiting.add(look);
          signal.addEventListener('abort', onAbort, { once: true });
          look();
        });
      } finally {
        leave();
      }
    },
  };
}
