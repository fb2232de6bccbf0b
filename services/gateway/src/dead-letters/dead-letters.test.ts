import type { NewRecord } from '@rlhf-streams/log';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { expectProblem, startGateway, type TestGateway } from '../gateway.test.support.js';

let now = Date.parse('2026-03-02T09:00:00Z');
let gateway: TestGateway;
beforeEach(async () => {
  gateway = await startGateway({ now: () => now });
});
afterEach(() => gateway.close());

interface Page {
  readonly deadLetters: readonly { readonly key: string; readonly run?: string; readonly data: string }[];
  readonly nextCursor: string | null;
}
const page = async (query = ''): Promise<Page> =>
  (await gateway.get(`/v1/dead-letters?${query}`)).json() as Promise<Page>;
const keys = ({ deadLetters }: Page) => deadLetters.map(({ key }) => key);

/** Publishes records that are no events, one after another, and has a service reject them. */
async function reject(...records: readonly Omit<NewRecord, 'headers'>[]): Promise<void> {
  for (const record of records) {
    now += 1000;
    await gateway.log.publish([{ ...record, headers: { ce_type: 'reward.scored', ce_id: 'x' } }]);
    for await (const _ of gateway.events.readAll(['rewards', 'rollouts']))
      throw new Error('expected no event');
  }
  const [last] = records.slice(-1);
  await vi.waitFor(async () => expect(keys(await page())).toContain(last!.key), {
    timeout: 20_000,
    interval: 2,
  });
}

describe('GET /v1/dead-letters', () => {
  it('says what failed, where and why', async () => {
    await reject({ topic: 'rewards', key: 'r1/0/0', value: '{"run":"r1","score":"high"}' });
    expect((await page()).deadLetters).toEqual([
      {
        id: expect.stringMatching(/^test\/rewards\/\d\/0$/),
        time: new Date(now).toISOString(),
        service: 'test',
        source: { topic: 'rewards', partition: expect.any(Number), offset: 0 },
        key: 'r1/0/0',
        run: 'r1',
        cause: { code: 'EVENT_INVALID', message: expect.stringContaining('score') },
        attempts: 1,
        data: '{"run":"r1","score":"high"}',
        bytes: 27,
      },
    ]);
  });

  it('has the newest first, page by page, of a run and of a topic', async () => {
    await reject(
      { topic: 'rewards', key: 'r1/0/0', value: '' },
      { topic: 'rollouts', key: 'r2/0/0', value: '{"run":"r1"}' },
      { topic: 'rewards', key: 'r2/0/1', value: new Uint8Array([0xff, 0xfe]) },
      { topic: 'rewards', key: 'Not a run', value: '{"run":5}' },
    );
    expect(keys(await page())).toEqual(['Not a run', 'r2/0/1', 'r2/0/0', 'r1/0/0']);
    expect(keys(await page('run=r1'))).toEqual(['r2/0/0', 'r1/0/0']);
    expect(keys(await page('run=r2'))).toEqual(['r2/0/1']);
    expect(keys(await page('topic=rollouts'))).toEqual(['r2/0/0']);
    const first = await page('limit=3');
    expect(keys(first)).toHaveLength(3);
    const second = await page(`limit=3&cursor=${first.nextCursor}`);
    expect([keys(second), second.nextCursor]).toEqual([['r1/0/0'], null]);
    for (const query of ['run=No%20Id', 'topic=secrets', 'limit=0', 'cursor=x'])
      await expectProblem(await gateway.get(`/v1/dead-letters?${query}`), 400, 'INVALID_REQUEST');
    expect(await (await gateway.get('/v1/dead-letters?limit=0')).json()).toMatchObject({
      errors: [{ path: 'limit', message: 'expected at least 1, got 0' }],
    });
  });

  it('quotes no more than 4 kB of a record', async () => {
    await reject({ topic: 'rewards', key: 'long', value: 'x'.repeat(10_000) });
    expect((await page()).deadLetters[0]).toMatchObject({ data: 'x'.repeat(4096), bytes: 10_000 });
  });

  it('knows the newest thousand', async () => {
    const records = Array.from({ length: 1010 }, (_, index) => ({
      topic: 'rewards',
      key: `${index}`,
      value: '',
      headers: {},
    }));
    await gateway.log.publish(records);
    for await (const _ of gateway.events.readAll(['rewards'])) throw new Error('expected no event');
    const restarted = await startGateway({ log: gateway.log });
    const counts = async ({ get }: TestGateway) => {
      let [count, cursor] = [0, ''];
      for (;;) {
        const read = (await (await get(`/v1/dead-letters?limit=500${cursor}`)).json()) as Page;
        count += read.deadLetters.length;
        if (read.nextCursor === null) return count;
        cursor = `&cursor=${read.nextCursor}`;
      }
    };
    expect(await counts(restarted)).toBe(1000);
    await vi.waitFor(async () => expect(await counts(gateway)).toBe(1000), { timeout: 20_000, interval: 2 });
    await restarted.close();
  });
});
