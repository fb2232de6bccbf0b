export { reference } from './service.js';
