/** Looks for what a cluster may have left behind. */
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { getContainerRuntimeClient } from 'testcontainers';

/** Names what is left of the clusters that listen at `addresses` now: ports, containers and networks. */
export async function tracesInDocker(addresses: readonly string[]): Promise<() => Promise<string[]>> {
  const { dockerode } = (await getContainerRuntimeClient()).container;
  const ports = new Set(addresses.map(portOf));
  const containers = (await dockerode.listContainers()).filter(({ Ports }) =>
    Ports.some(({ PublicPort }) => ports.has(PublicPort)),
  );
  const networks = containers
    .flatMap(({ NetworkSettings }) => Object.keys(NetworkSettings.Networks))
    .filter((name) => name !== 'bridge');
  return async () => {
    const found = await Promise.all([
      ...containers.map(async ({ Id }) => unlessGone(Id, dockerode.getContainer(Id).inspect())),
      ...networks.map(async (name) => unlessGone(name, dockerode.getNetwork(name).inspect())),
      openPorts(addresses),
    ]);
    return found.flat();
  };
}

/** Names what is left of clusters of Java: ports, and files in the temporary folder. */
export function tracesOfJava(addresses: readonly string[], temporary: string): () => Promise<string[]> {
  return async () => [...(await openPorts(addresses)), ...(await readdir(temporary))];
}

async function unlessGone(name: string, inspection: Promise<unknown>): Promise<string[]> {
  try {
    await inspection;
    return [name];
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) return [];
    throw error;
  }
}

async function openPorts(addresses: readonly string[]): Promise<string[]> {
  const open = await Promise.all(addresses.map(accepts));
  return addresses.filter((_, i) => open[i]);
}

function accepts(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address.replace(/:\d+$/, ''), port: portOf(address) });
    const answer = (accepted: boolean) => {
      socket.destroy();
      resolve(accepted);
    };
    socket.once('connect', () => answer(true)).once('error', () => answer(false));
  });
}

const portOf = (address: string) => Number(address.slice(address.lastIndexOf(':') + 1));
