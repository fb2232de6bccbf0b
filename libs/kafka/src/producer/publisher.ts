/**
 * Publishing outside of transactions. Calls made at the same time share requests. Each partition has at most one request
 * under way, which keeps its order, and none waits for a partition whose leader does not answer.
 */

import type { NewRecord } from '@rlhf-streams/log';
import { partitionKey } from '@rlhf-streams/log/core';
import type { KafkaSettings } from '../options.js';
import { faultOf } from '../wire/errors.js';
import { byLeader } from '../wire/partitions.js';
import type { Wire } from '../wire/wire.js';
import { type PartitionBatch, type Placed, place, takeRequest } from './batches.js';
import { type BatchWriter, openWriter } from './writer.js';

export interface Publisher {
  publish(records: readonly NewRecord[]): Promise<void>;
}

interface Call {
  /** Records not yet acknowledged. */
  open: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export function createPublisher(wire: Wire, settings: KafkaSettings): Publisher {
  const queue: Placed[] = [];
  const callOf = new Map<Placed['message'], Call>();
  /** Keys of the partitions with a request under way. */
  const busy = new Set<string>();
  let writer: Promise<BatchWriter> | undefined;
  let sending = false;
  /** Records join the queue in the order of the calls, though metadata may come sooner for a later one. */
  let placing: Promise<unknown> = Promise.resolve();

  async function write(batches: readonly PartitionBatch[]): Promise<void> {
    for (let again = true; ; again = false) {
      writer ??= openWriter(wire, settings);
      const current = writer;
      try {
        await (await current).write(batches);
        return;
      } catch (error) {
        // Sequence numbers may be out of step from here on. Under a new producer id a record that had arrived is written
        // twice; consumers drop it by its event id.
        if (writer === current) writer = undefined;
        if (!again || !faultOf(error).lostProducerId) throw error;
      }
    }
  }

  async function send(): Promise<void> {
    if (sending) return;
    sending = true;
    for (let batches = take(); batches.length > 0; batches = take())
      for (const share of await sharesOf(batches)) void deliver(share);
    sending = false;
  }

  function take(): PartitionBatch[] {
    const batches = takeRequest(queue, busy);
    for (const batch of batches) busy.add(partitionKey(batch));
    return batches;
  }

  /** Batches by their leader. Where leaders cannot be found now, `write` goes on trying, for all of them together. */
  async function sharesOf(batches: readonly PartitionBatch[]): Promise<(readonly PartitionBatch[])[]> {
    return byLeader(wire, batches).then(
      (shares) => [...shares.values()],
      () => [batches],
    );
  }

  async function deliver(batches: readonly PartitionBatch[]): Promise<void> {
    const messages = batches.flatMap((batch) => batch.messages);
    try {
      await write(batches);
      for (const message of messages) {
        const call = callOf.get(message)!;
        if (--call.open === 0) call.resolve();
      }
    } catch (error) {
      abandon(new Set(messages.map((message) => callOf.get(message)!)), error);
    }
    for (const message of messages) callOf.delete(message);
    for (const batch of batches) busy.delete(partitionKey(batch));
    void send();
  }

  /** Rejects calls of which a part failed, and takes what else they had to send out of the queue. */
  function abandon(calls: ReadonlySet<Call>, error: unknown): void {
    const all = queue.splice(0, queue.length);
    for (const placed of all) {
      if (calls.has(callOf.get(placed.message)!)) callOf.delete(placed.message);
      else queue.push(placed);
    }
    for (const call of calls) call.reject(error);
  }

  return {
    async publish(records) {
      if (records.length === 0) return;
      const placed = place(wire, records);
      const turn = placing.then(() => placed);
      placing = turn.catch(() => {});
      const found = await turn;
      await new Promise<void>((resolve, reject) => {
        const call: Call = { open: found.length, resolve, reject };
        for (const each of found) {
          queue.push(each);
          callOf.set(each.message, call);
        }
        void send();
      });
    },
  };
}
