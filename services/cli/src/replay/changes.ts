/** Changes to a run's configuration as they are written on the command line: `ppo.klCoef=.1`. */
import type { Change } from '@rlhf-streams/runs';
import { parseDocument } from 'yaml';
import { CliError } from '../errors.js';

/**
 * @throws CliError CLI_REPLAY_REFUSED for what is no path with a single value, or names what has an option of its own.
 */
export function parseChange(text: string): Change {
  const at = text.indexOf('=');
  const path = text.slice(0, Math.max(0, at));
  if (path.split('.').some((key) => key === '')) {
    throw refused(`expected --set path=value, as in ppo.klCoef=.1, got ${text}`);
  }
  if (path === 'run') throw refused('expected --as to name the replay, got --set run');
  if (path === 'replay') throw refused('expected the run to replay as the argument, got --set replay');
  return [path, scalarOf(text.slice(at + 1), path)];
}

/** A YAML scalar: a number, true, false, null or a text. */
function scalarOf(text: string, path: string): unknown {
  const document = parseDocument(text);
  const value: unknown = document.errors.length > 0 ? undefined : document.toJS();
  if (value === undefined || (typeof value === 'object' && value !== null)) {
    throw refused(`expected ${path} to be set to one value, got ${text}`);
  }
  return value;
}

const refused = (message: string) => new CliError('CLI_REPLAY_REFUSED', message);
