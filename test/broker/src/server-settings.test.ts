import { expect, it } from 'vitest';
import { imageEnvironment, propertiesFile } from './server-settings.js';

it('a value reaches a properties file as it is', () => {
  expect(propertiesFile({ a: ' C:\\logs', 'b.c': 'für "x"=y' })).toBe(
    'a=\\ C:\\\\logs\nb.c=f\\u00fcr "x"=y\n',
  );
});

it("a name becomes the image's variable for it", () => {
  expect(imageEnvironment({ 'log.retention.ms': '1', 'a_b-c.d': '2' })).toEqual({
    KAFKA_LOG_RETENTION_MS: '1',
    KAFKA_A__B___C_D: '2',
  });
});
