export { batched } from './batched.js';
export { type LoadArtifactsOptions, type LoadedArtifacts, loadArtifacts } from './loaded-artifacts.js';
