import type { RunsContext } from '../runs/context.js';
import type { Exclusive } from './exclusive.js';

/** What the routes of experiments work with. */
export interface ExperimentsContext extends RunsContext {
  readonly exclusive: Exclusive;
}
