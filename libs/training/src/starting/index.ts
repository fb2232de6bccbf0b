export { readBases } from './bases.js';
export { describeStarts, type StartingModels } from './models.js';
export { initialParameters } from './parameters.js';
