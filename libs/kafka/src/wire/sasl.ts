/** How this client logs in to brokers. */
import type { SaslContext } from 'kafkajs/src/broker/saslAuthenticator/plain.js';
import plain from 'kafkajs/src/broker/saslAuthenticator/plain.js';
import scram256 from 'kafkajs/src/broker/saslAuthenticator/scram256.js';
import scram512 from 'kafkajs/src/broker/saslAuthenticator/scram512.js';
import type { KafkaSasl } from '../options.js';

const PROVIDERS = { plain, 'scram-sha-256': scram256, 'scram-sha-512': scram512 };

/**
 * The login as kafkajs takes it (`sasl`). kafkajs's own providers call every failure a failed authentication; this one
 * throws what happened, so that a broken connection is not taken for a wrong password.
 */
export function saslLogin({ mechanism, username, password }: KafkaSasl): object {
  const provider = PROVIDERS[mechanism]({ username, password });
  return {
    mechanism,
    authenticationProvider: (context: SaslContext) => ({
      async authenticate() {
        let failure: unknown;
        const exchange = provider({
          ...context,
          saslAuthenticate: async (messages) => {
            try {
              return await context.saslAuthenticate(messages);
            } catch (error) {
              failure = error;
              throw error;
            }
          },
        });
        try {
          await exchange.authenticate();
        } catch (error) {
          throw failure ?? error;
        }
      },
    }),
  };
}
