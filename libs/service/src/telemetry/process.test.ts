import { createServer } from 'node:net';
import { expect, it } from 'vitest';
import { createTelemetry } from './sdk.js';

it('counts what keeps the event loop alive, and no longer what is gone', async () => {
  const telemetry = createTelemetry({ service: 'test' });
  const servers = async () => {
    const text = await telemetry.metricsText();
    return Number(/^nodejs_active_resources\{type="TCPServerWrap"\} (\d+)/m.exec(text)?.[1] ?? 0);
  };
  const before = await servers();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, resolve));
  expect(await servers()).toBe(before + 1);
  await new Promise((resolve) => server.close(resolve));
  await expect.poll(servers).toBe(before);
  await telemetry.shutdown();
});
