import protocolErrors from 'kafkajs/src/protocol/error.js';
import { describe, expect, it } from 'vitest';
import { toLogError } from './errors.js';
import { saslLogin } from './sasl.js';

const ignore = () => {};
const logger = { debug: ignore, error: ignore };

/** A login during which the exchange with the broker fails with `failure`. */
function loginFailing(mechanism: 'plain' | 'scram-sha-256', failure: Error): Promise<void> {
  const login = saslLogin(Object.freeze({ mechanism, username: 'user', password: 'password' })) as {
    authenticationProvider(context: object): { authenticate(): Promise<void> };
  };
  const saslAuthenticate = () => Promise.reject(failure);
  return login.authenticationProvider({ host: 'here', port: 1, logger, saslAuthenticate }).authenticate();
}

describe.each(['plain', 'scram-sha-256'] as const)('a login with %s', (mechanism) => {
  it('tells a connection that broke from a password that is wrong', async () => {
    const broken = Object.assign(new Error('closed'), { name: 'KafkaJSConnectionClosedError' });
    await expect(loginFailing(mechanism, broken)).rejects.toBe(broken);
    const wrong = protocolErrors.createErrorFromCode(58);
    await expect(loginFailing(mechanism, wrong)).rejects.toBe(wrong);
    expect(toLogError(wrong, 'log in')).toMatchObject({ code: 'LOG_DENIED' });
  });
});
