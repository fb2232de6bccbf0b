import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, it } from 'vitest';
import { checkPorts, exposure, portsFrom } from './listening.js';

it('the services follow the gateway, or take free ports', () => {
  expect(portsFrom(9000)).toEqual({
    gateway: 9000,
    policy: 9001,
    reward: 9002,
    reference: 9003,
    optimizer: 9004,
    coordinator: 9005,
  });
  expect(new Set(Object.values(portsFrom(0)))).toEqual(new Set([0]));
});

it('a port that is taken is named, with the options to set; free ones are left free', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const ports = { ...portsFrom(0), reward: port };
  try {
    await expect(checkPorts('127.0.0.1', ports)).rejects.toMatchObject({
      code: 'CLI_CANNOT_LISTEN',
      message: expect.stringMatching(new RegExp(`taken are ${port} \\(reward\\): set --port \\(or PORT\\)`)),
    });
  } finally {
    server.close();
  }
  await once(server, 'close');
  await checkPorts('127.0.0.1', ports);
  await checkPorts('127.0.0.1', ports);
});

it('an address that is none of this machine is refused', async () => {
  await expect(checkPorts('192.0.2.1', portsFrom(0))).rejects.toMatchObject({
    message: expect.stringMatching(/listen at 192\.0\.2\.1: .*--host/),
  });
});

it.each(['127.0.0.1', '127.0.1.1', 'localhost', '::1'])('%s is for this machine alone', (host) => {
  expect(exposure(host)).toBeUndefined();
});

it.each([
  ['0.0.0.0', /every address of this machine \(0\.0\.0\.0\).*no authentication/],
  ['::', /every address of this machine \(::\).*no authentication/],
  ['192.168.1.5', /at 192\.168\.1\.5: .*no authentication/],
  ['127.example.org', /at 127\.example\.org/],
])('%s is told to be open', (host, said) => {
  expect(exposure(host)).toMatch(said);
});
