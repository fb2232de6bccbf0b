export { adamw, biasCorrections } from './adamw.js';
export { adaptKlCoef } from './adaptive-kl.js';
export { gradientClipCoefficient } from './clip.js';
export { dpoLoss, implicitRewards, meanLogprobs, type ResponseLogprobs, responseLogprobs } from './dpo.js';
export { AlignmentError } from './errors.js';
export { gae } from './gae.js';
export { equalGroups, groupAdvantages, tokenWeights } from './grpo.js';
export { truncatedImportanceWeights } from './importance-sampling.js';
export { categoricalKl, klEstimate, klEstimates, klLoss } from './kl.js';
export { ktoLoss, mismatchedKl } from './kto.js';
export { entropyFromLogits, selectiveLogSoftmax } from './logprobs.js';
export { type Loss, maskedMean, type Normaliser } from './masked.js';
export { drawnRanks, scoreRanks } from './online-dpo.js';
export { adaptPenalty, ppoPenaltyLoss, ppoPolicyLoss, ppoValueLoss } from './ppo.js';
export { proLoss } from './pro.js';
export { baselineAdvantages, reinforceLoss, rewardsToGo, tokenAdvantages } from './reinforce.js';
export { bestOfNRewardLoss, pairwiseRewardLoss, rewardRange } from './reward-model.js';
export { penalisedScore, type RlhfReward, rlhfReward } from './rewards.js';
export { learningRateAt } from './schedules.js';
export { deviationOf, usedScores } from './scores.js';
export { sftLoss } from './sft.js';
export { explainedVariance, tokenVariance, whiten } from './statistics.js';
export {
  conjugateGradient,
  fisherVectorProduct,
  lineSearch,
  stepSize,
  surrogateLoss,
  type Trial,
  trialLoss,
} from './trpo.js';
export { valueLoss } from './value.js';
