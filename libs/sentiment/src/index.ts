export { bundledCorpus } from './corpus/bundled-corpus.js';
export { type GoldReward, parseGoldReward, scoreGold, trainGoldReward } from './gold-reward.js';
export { labelledRows } from './labelled-rows.js';
export { EVALUATED, type Evaluated, evaluationOf, type RecipeOptions, recipe, type Stage } from './recipe.js';
export { type Verdict, verdictOf } from './verdict.js';
