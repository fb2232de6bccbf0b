import { expect, it } from 'vitest';
import { commandToGoOn } from './interruption.js';

const npx = { npm_command: 'exec' };
const script = { npm_command: 'run', npm_lifecycle_event: 'quickstart' };

it.each<[string[], NodeJS.ProcessEnv, string]>([
  [['quickstart'], {}, 'rlhf-streams quickstart --resume'],
  [['quickstart', '--seed', '7'], npx, 'npx rlhf-streams quickstart --resume --seed 7'],
  [['quickstart', '--resume', '--seed', '7'], {}, 'rlhf-streams quickstart --resume --seed 7'],
  // Going on with --force would throw away what the interrupted command did.
  [['quickstart', '--force', '--directory', 'a b'], {}, "rlhf-streams quickstart --resume --directory 'a b'"],
  [['quickstart', '--data', "it's"], script, "npm run quickstart -- --resume --data 'it'\\''s'"],
  [['run', 'my runs.yaml'], npx, "npx rlhf-streams run 'my runs.yaml'"],
  [['replay', 'r', '--set', 'ppo.klCoef=.1'], {}, 'rlhf-streams replay r --set ppo.klCoef=.1'],
])('%j goes on with its own words', (words, environment, expected) => {
  expect(commandToGoOn(words, environment)).toBe(expected);
});
