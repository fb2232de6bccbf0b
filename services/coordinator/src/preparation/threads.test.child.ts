/** The thread of the test. */
import { serve } from '@rlhf-streams/threads';

const api = {
  /** Computes for ever, without a turn of the event loop. */
  async spin(): Promise<never> {
    for (;;);
  },
  answer: async () => 42,
};

export type Spinner = typeof api;
serve(api);
