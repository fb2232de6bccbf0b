/** How old an object is by the server's clock, whatever this machine's says: bounds, from the dates of its answers. */

/** All times in milliseconds. */
export interface ServerClock {
  /** Takes note of an answer: when its request was sent and when it came, by this machine's clock, and its header Date. */
  observe(sent: number, received: number, date: string | undefined): void;
  /** The least the age of an object can have been at a time of this machine's clock. */
  leastAge(modified: number, at: number): number;
  /** The most the age of an object can be now. */
  mostAge(modified: number): number;
}

/** Dates are whole seconds, rounded down; those of objects may be rounded up. */
const ROUNDING_MS = 1000;

/** Before the first answer, and with a server that sends no date, this machine's clock stands for the server's. */
export function serverClock(): ServerClock {
  let least = 0;
  let most = 0;
  return {
    observe: (sent, received, date) => {
      const answered = Date.parse(date ?? '');
      if (Number.isNaN(answered)) return;
      least = answered - received;
      most = answered + ROUNDING_MS - sent;
    },
    leastAge: (modified, at) => at + least - modified,
    mostAge: (modified) => Date.now() + most + ROUNDING_MS - modified,
  };
}
