import type { Part } from '../part.js';
import { abilities } from './abilities.js';
import { frontier } from './frontier.js';
import { kWise, kWiseLora } from './k-wise.js';
import { length } from './length.js';
import { onPolicyMethods } from './on-policy.js';
import { pretraining } from './pretraining.js';
import { rankings } from './rankings.js';

/** In the order in which they are done and shown. */
export const parts: readonly Part[] = [
  frontier,
  length,
  rankings,
  pretraining,
  abilities,
  onPolicyMethods,
  kWise,
  kWiseLora,
];
