export { policy } from './service.js';
