/** What each method does with a step's items. A new method is a file and a line here. */
import type { MethodName } from '@rlhf-streams/runs';
import { dpo } from './dpo.js';
import { evaluate } from './evaluate.js';
import { grpo } from './grpo.js';
import { kto } from './kto.js';
import type { Method } from './method.js';
import { onlineDpo } from './online-dpo.js';
import { ppo } from './ppo.js';
import { pro } from './pro.js';
import { reinforce } from './reinforce.js';
import { reward } from './reward.js';
import { sample } from './sample.js';
import { sft } from './sft.js';
import { trpo } from './trpo.js';

/** The compiler requires an update for every spec, over the configuration of that spec. */
const methods: { readonly [Name in MethodName]: Method<Name> } = {
  sft,
  reward,
  ppo,
  trpo,
  reinforce,
  grpo,
  dpo,
  pro,
  kto,
  onlineDpo,
  sample,
  evaluate,
};

/** The method that a configuration names. */
export const methodOf = (name: MethodName): Method => methods[name] as unknown as Method;
