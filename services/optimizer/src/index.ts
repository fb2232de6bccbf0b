export { optimizer } from './service.js';
