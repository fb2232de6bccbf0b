/** A service as a process of its own, for the tests of `main`. */
import { z } from 'zod';
import { main } from './main.js';
import { defineService } from './service.js';

const settings = z.object({ FAIL_AFTER_START: z.stringbool().default(false).describe('whether to fail') });

await main(
  defineService({
    name: 'greeter',
    settings,
    start: ({ http, settings: { FAIL_AFTER_START }, fail }) => {
      http.get('/', (c) => c.text('hello'));
      http.get('/crash', (c) => {
        setImmediate(() => {
          throw new Error('nobody catches this');
        });
        return c.text('crashing');
      });
      if (FAIL_AFTER_START) setImmediate(() => fail(new Error('asked to')));
    },
  }),
);
