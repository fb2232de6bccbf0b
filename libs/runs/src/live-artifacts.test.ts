import { createHash } from 'node:crypto';
import type { ArtifactRef, DataFor, TopicEvent } from '@rlhf-streams/events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ARTIFACT_TOPICS, type ArtifactEvent, liveArtifacts } from './live-artifacts.js';

const sha256Of = (content: string) => createHash('sha256').update(content).digest('hex');
const refOf = (content: string): ArtifactRef => {
  const sha256 = sha256Of(content);
  return { uri: `artifact:${sha256}`, sha256 };
};

type Unplaced = TopicEvent<(typeof ARTIFACT_TOPICS)[number]>;
const placed = (event: Unplaced): ArtifactEvent => ({ ...event, partition: 0, offset: 0, time: 0 });

const requested = (run: string, model = 'm'): Unplaced => ({
  type: 'run.requested',
  data: { run, config: { run, method: 'sft', steps: 9, model, data: 'd' } },
});
const started = (run: string, contents: Record<string, string>): Unplaced => ({
  type: 'run.started',
  data: {
    run,
    config: {},
    steps: 9,
    testItems: 0,
    models: Object.fromEntries(
      Object.entries(contents).flatMap(([role, content]) =>
        role === 'items' ? [] : [[role, { base: refOf(content) }]],
      ),
    ),
    artifacts: { ...(contents.items !== undefined && { items: refOf(contents.items) }) },
    from: {},
  },
});
const ended = (run: string): Unplaced => ({
  type: 'run.completed',
  data: { run, steps: 9, policyVersion: 9 },
});
const cancelled = (run: string): Unplaced => ({ type: 'run.cancelled', data: { run, reason: 'enough' } });

/** A version with its step, as one transaction publishes them. */
const published = (run: string, version: number, content: string, checkpoint?: string): Unplaced[] => [
  {
    type: 'policy.published',
    data: {
      run,
      version,
      step: version,
      model: { base: refOf(content) },
      ...(checkpoint !== undefined && { checkpoint: { step: version, artifact: refOf(checkpoint) } }),
    },
  },
  {
    type: 'step.completed',
    data: {
      run,
      step: version - 1,
      policyVersion: version,
      published: { base: refOf(content) },
      split: 'train',
      metrics: {},
    },
  },
];

const live = async (...events: readonly Unplaced[]) =>
  new Set((await liveArtifacts(events.map(placed))).map(({ sha256 }) => sha256));
const hashes = (...contents: readonly string[]) => new Set(contents.map(sha256Of));

describe('what is live', () => {
  const versions = [...published('r', 1, 'v1', 'c1'), ...published('r', 2, 'v2', 'c1')];

  it('is all that a run has made and uses until it ends, then its newest version and checkpoint', async () => {
    const running = [requested('r'), started('r', { policy: 'p', items: 'i' }), ...versions];
    expect(await live(...running)).toEqual(hashes('p', 'i', 'v1', 'c1', 'v2'));
    expect(await live(...running, ended('r'))).toEqual(hashes('p', 'i', 'v2', 'c1'));
  });

  it('is as many versions and checkpoints as the run says, and the best version', async () => {
    const config = {
      run: 'r',
      method: 'sft',
      steps: 9,
      model: 'm',
      data: 'd',
      testFraction: 0.1,
      keepCheckpoints: 2,
      keepBest: { metric: 'eval/loss', goal: 'min' },
    };
    const asked: Unplaced = { type: 'run.requested', data: { run: 'r', config } };
    const measured = [3, 1, 2, 4, 5].flatMap((loss, index) => {
      const version = index + 1;
      const [release, step] = published('r', version, `v${version}`, `c${version}`);
      const data = {
        ...(step!.data as DataFor<'step.completed'>),
        checkpoint: refOf(`c${version}`),
        metrics: { 'eval/loss': loss },
      };
      return [release!, { type: 'step.completed', data } as const];
    });
    const all = [asked, started('r', { policy: 'p' }), ...measured, ended('r')];
    expect(await live(...all)).toEqual(hashes('p', 'v2', 'v4', 'v5', 'c4', 'c5'));
    // A compacted topic forgot all but the newest version.
    const compacted = all.filter(({ type, data }) => type !== 'policy.published' || data.version === 5);
    expect(await live(...compacted)).toEqual(hashes('p', 'v2', 'v4', 'v5', 'c4', 'c5'));
    // A run that goes on has services that may ask for as old a version as it is ahead of them.
    const running = await live(...all.slice(0, -1));
    expect(running).toEqual(hashes('p', 'v1', 'v2', 'v3', 'v4', 'v5', 'c1', 'c2', 'c3', 'c4', 'c5'));
  });

  it('is the archive of a run, the newest where there are several, and the results of its steps', async () => {
    const archived = (content: string): Unplaced => ({
      type: 'run.archived',
      data: { run: 'r', archive: refOf(content), until: {}, counts: {} },
    });
    const step: Unplaced = {
      type: 'step.completed',
      data: { run: 'r', step: 0, policyVersion: 1, split: 'train', metrics: {}, results: refOf('results') },
    };
    const over = [requested('r'), started('r', { policy: 'p' }), step, ended('r')];
    expect(await live(...over)).toEqual(hashes('p', 'results'));
    expect(await live(...over, archived('a1'), archived('a2'))).toEqual(hashes('p', 'results', 'a2'));
  });

  it('is known of versions that a compacted topic forgot', async () => {
    const kept = versions.filter((event) => event.type !== 'policy.published' || event.data.version === 2);
    expect(await live(requested('r'), ...kept)).toEqual(hashes('v1', 'v2', 'c1'));
  });

  it('is an adapter as well as the model that it was trained on', async () => {
    const ref = { base: refOf('base'), adapter: refOf('adapter') };
    const [version] = published('r', 1, 'v1');
    const adapted = { ...version!, data: { ...version!.data, model: ref } } as Unplaced;
    expect(await live(requested('r'), adapted, ended('r'))).toEqual(hashes('base', 'adapter'));
  });

  it('is everything of a run that is not known', async () => {
    expect(await live(...versions)).toEqual(hashes('v1', 'v2', 'c1'));
  });

  it('is the version of another run that a run asks for, as long as it has not ended', async () => {
    const made = [
      requested('a'),
      ...[1, 2, 3].flatMap((version) => published('a', version, `v${version}`)),
      ended('a'),
    ];
    expect(await live(...made)).toEqual(hashes('v3'));
    expect(await live(...made, requested('b', 'run:a@2'))).toEqual(hashes('v2', 'v3'));
    expect(await live(...made, requested('b', 'run:a@2'), cancelled('b'))).toEqual(hashes('v3'));
  });

  it('is what a run asks for by its hash, as long as it has not ended', async () => {
    const request = requested('r', `artifact:${sha256Of('asked')}`);
    expect(await live(request)).toEqual(hashes('asked'));
    expect(await live(request, cancelled('r'))).toEqual(hashes());
    const [lora, base] = ['lora', 'base'].map((content) => refOf(content).uri);
    expect(await live(requested('r', `adapter:${lora} on ${base}`))).toEqual(hashes('lora', 'base'));
  });
});

const GRACE = 1000;
/** The longest wait from a put to its announcement, and from reading the log to the sweep: together less than the grace period. */
const MOST_WAIT = 450;
const RUNS = ['a', 'b', 'c'];
/** Few different contents, so that artifacts are shared, collected, and put again. */
const content = fc.constantFrom('1', '2', '3', '4', '5', '6', '7', '8');

const act = fc.record({
  kind: fc.constantFrom(
    'start' as const,
    'publish' as const,
    'publish' as const,
    'end' as const,
    'collect' as const,
  ),
  run: fc.constantFrom(...RUNS),
  content,
  checkpoint: fc.option(content, { nil: undefined }),
  wait: fc.integer({ min: 0, max: MOST_WAIT }),
  pause: fc.oneof(fc.nat({ max: 50 }), fc.nat({ max: 2 * GRACE })),
});
const acts = fc.array(act, { maxLength: 80, size: 'max' });
type Act = typeof act extends fc.Arbitrary<infer T> ? T : never;

/** Runs on a log, their artifacts in a store, and collections that take their time. */
function world() {
  const log: Unplaced[] = [];
  const store = new Map<string, number>();
  const due: { readonly at: number; readonly happen: () => void }[] = [];
  const busy = new Set<string>();
  const newest = new Map<string, { version: number; content: string; checkpoint?: string }>();
  const uses = new Map<string, string[]>();
  const over = new Set<string>();
  let now = 0;
  let runs = 0;

  const put = (content: string) => void store.set(sha256Of(content), now);
  const later = (wait: number, happen: () => void) => due.push({ at: now + wait, happen });

  /** What the runs there are could still be asked for. */
  const needed = () =>
    hashes(
      ...[...uses.values()].flat(),
      ...[...newest.values()].flatMap(({ content, checkpoint }) => [
        content,
        ...(checkpoint ? [checkpoint] : []),
      ]),
    );

  return {
    store,
    needed,
    /** Lets time pass, and what is due happen in its order. */
    pass(pause: number) {
      const until = now + pause;
      for (;;) {
        const next = due.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
        if (!next) break;
        due.splice(due.indexOf(next), 1);
        now = next.at;
        next.happen();
      }
      now = until;
    },
    async act({ kind, run, content, checkpoint, wait }: Act) {
      switch (kind) {
        case 'start': {
          if (busy.has(run) || uses.has(run)) return;
          busy.add(run);
          log.push(requested(run));
          // A model that another run made, or a new one.
          const [source] = [...over].map((other) => newest.get(other));
          const model = source && runs++ % 2 === 0 ? source.content : `model ${content}`;
          if (model !== source?.content) put(model);
          put(`items ${content}`);
          later(wait, () => {
            log.push(started(run, { policy: model, items: `items ${content}` }));
            uses.set(run, [model, `items ${content}`]);
            busy.delete(run);
          });
          return;
        }
        case 'publish': {
          if (busy.has(run) || !uses.has(run) || over.has(run)) return;
          busy.add(run);
          const before = newest.get(run);
          const version = (before?.version ?? 0) + 1;
          put(`weights ${content}`);
          if (checkpoint) put(`checkpoint ${checkpoint}`);
          const saved = checkpoint ? `checkpoint ${checkpoint}` : before?.checkpoint;
          later(wait, () => {
            log.push(...published(run, version, `weights ${content}`, saved));
            newest.set(run, { version, content: `weights ${content}`, ...(saved && { checkpoint: saved }) });
            busy.delete(run);
          });
          return;
        }
        case 'end':
          if (!uses.has(run) || over.has(run)) return;
          // A version that is about to be published when the run is cancelled still comes.
          log.push(busy.has(run) ? cancelled(run) : ended(run));
          over.add(run);
          return;
        case 'collect': {
          const kept = await live(...log);
          later(wait, () => {
            for (const [sha256, at] of store)
              if (!kept.has(sha256) && at <= now - GRACE) store.delete(sha256);
          });
        }
      }
    },
  };
}

describe('a collection while runs go on', () => {
  it('never removes what a run needs: the grace period protects what is put and published meanwhile', async () => {
    await fc.assert(
      fc.asyncProperty(acts, async (acts) => {
        const { act, pass, needed, store } = world();
        for (const each of acts) {
          await act(each);
          pass(each.pause);
          expect([...needed()].filter((sha256) => !store.has(sha256))).toEqual([]);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('leaves nothing that is of no use when all has ended', async () => {
    await fc.assert(
      fc.asyncProperty(acts, async (acts) => {
        const { act, pass, needed, store } = world();
        for (const each of acts) {
          await act(each);
          pass(each.pause);
        }
        pass(GRACE);
        for (const run of RUNS) await act({ ...acts[0]!, kind: 'end', run });
        pass(GRACE);
        await act({ ...acts[0]!, kind: 'collect', wait: 0 });
        pass(0);
        expect(new Set(store.keys())).toEqual(needed());
      }),
    );
  });
});
