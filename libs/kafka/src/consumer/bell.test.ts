import { expect, it } from 'vitest';
import { createBell } from './bell.js';

it('a bell is heard by who waits, and by the next who does if nobody did', async () => {
  const bell = createBell();
  const heard = bell.rung();
  bell.ring();
  await heard;
  bell.ring();
  bell.ring();
  await bell.rung();
  await bell.rung(1);
  const again = bell.rung(60_000).then(() => 'heard');
  bell.ring();
  expect(await again).toBe('heard');
});
