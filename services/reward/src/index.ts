export { reward } from './service.js';
