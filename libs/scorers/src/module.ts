/** Scorers that are JavaScript modules of the operator's. */
import { pathToFileURL } from 'node:url';
import { spawn, type Thread } from '@rlhf-streams/threads';
import { withDeadline } from '@rlhf-streams/waiting';
import type { AskScorer } from './ask.js';
import type { ModuleDeclaration } from './declarations.js';
import { ScorerError } from './errors.js';
import type { ModuleThread } from './module-thread.js';
import { readAnswers } from './read-answers.js';

/** Milliseconds that a module may take to load. */
const LOAD_TIMEOUT_MS = 30_000;

/** Milliseconds that it has to come to an end: it has had its time for the answer before. */
const PATIENCE_MS = 2000;

/** Completions asked for alone, one after another, that are too late: the module is at fault, and not the last of them. */
const MOST_LATE = 3;

export interface ModuleScorer {
  readonly ask: AskScorer;
  close(): Promise<void>;
}

/**
 * A module in a thread of its own, which is begun anew after it took too long or ended.
 * @throws ScorerError RUNTIME_SETTINGS where the module cannot be loaded
 */
export async function openModule(
  name: string,
  { module, options, timeoutMs }: ModuleDeclaration,
): Promise<ModuleScorer> {
  const begin = async (): Promise<Thread<ModuleThread>> => {
    const thread = spawn<ModuleThread>(new URL('./module-thread.js', import.meta.url), {
      name: `scorer-${name}`,
      patienceMs: PATIENCE_MS,
    });
    try {
      await withDeadline(thread.call.load(pathToFileURL(module).href, options), {
        ms: LOAD_TIMEOUT_MS,
        late: `module ${module} to load`,
      });
      return thread;
    } catch (error) {
      void thread.close();
      throw error;
    }
  };
  /** The thread; undefined until the next call, after it had to be given up. */
  let thread: Promise<Thread<ModuleThread>> | undefined = begin();
  await thread.catch((cause: Error) => {
    throw new ScorerError('RUNTIME_SETTINGS', `expected scorer ${name} to load ${module}: ${cause.message}`, {
      cause,
    });
  });
  let lateInARow = 0;
  /** Threads that were given up, and end when their module comes to a turn of its event loop or is cut. */
  const ending = new Set<Promise<void>>();

  const giveUp = (used: Thread<ModuleThread>) => {
    thread = undefined;
    const end = used.close().finally(() => ending.delete(end));
    ending.add(end);
  };

  return {
    async ask(items) {
      thread ??= begin();
      const used = await thread.catch((cause: Error) => {
        thread = undefined;
        throw new ScorerError('SCORER_FAILED', `${name} cannot be loaded: ${cause.message}`, { cause });
      });
      const late = new ScorerError(
        'SCORER_TIMEOUT',
        `expected ${name} to score ${items.length} completions within ${timeoutMs} ms`,
      );
      const rows = await withDeadline(used.call.score(items), { ms: timeoutMs, late: () => late }).catch(
        (error: Error) => {
          if (error === late) {
            giveUp(used);
            if (items.length === 1) lateInARow++;
            throw lateInARow < MOST_LATE ? late : unavailable(name, timeoutMs);
          }
          // A module that ended its thread gets another one.
          if ('code' in error && error.code === 'THREAD_EXITED') giveUp(used);
          throw new ScorerError('SCORER_FAILED', `${name} failed: ${error.message}`, { cause: error });
        },
      );
      lateInARow = 0;
      return readAnswers(
        rows,
        items.map(({ id }) => id),
      );
    },
    async close() {
      await thread?.then(
        (used) => used.close(),
        () => {},
      );
      await Promise.all(ending);
    },
  };
}

const unavailable = (name: string, timeoutMs: number) =>
  new ScorerError(
    'SCORER_UNAVAILABLE',
    `${name} took longer than ${timeoutMs} ms for each of the last ${MOST_LATE} completions that it was asked for alone: mend the module, or raise timeoutMs of its declaration`,
  );
