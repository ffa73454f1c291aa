import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { HttpClient } from 'hap-controller';
import { Accessory, memoryStore, serve, twin, variants } from '../../harness/accessory/index.js';
import { parseSetupCode, seededRandom, text } from '../../harness/protocol/index.js';
import { listenTcp } from '../../harness/wire/index.js';
import { type Child, endChildren, start } from '../cli/process.js';

/** Method of an ordinary Pair Setup. */
const PLAIN = 0;
const CODE = '031-45-154';
const cli = fileURLToPath(new URL('../../../bin/hapspec.js', import.meta.url));

/** What the controller makes of an event. */
interface Event {
  readonly characteristics: readonly {
    readonly aid: number;
    readonly iid: number;
    readonly value: unknown;
  }[];
}

describe('peers: hap-controller', function () {
  this.timeout(30_000);
  let accessory: Child;
  let port: number;
  let id: string;

  before(async () => {
    accessory = start(cli, ['accessory', '--port', '0', '--code', CODE, '--seed', '5']);
    await accessory.said('setup code');
    port = Number(/listening on [^:]+:(\d+)/.exec(accessory.output())?.[1]);
    id = /accessory ([0-9A-F:]{17})/.exec(accessory.output())![1]!;
  });
  after(() => endChildren());

  it('pairs with the reference accessory, verifies, reads, subscribes, gets an event and removes itself', async () => {
    const first = new HttpClient(id, '127.0.0.1', port);
    // It would ask for PairSetupWithAuth, which only accessories with an authentication coprocessor know.
    await first.pairSetup(CODE, PLAIN);
    const pairing = first.getLongTermData()!;
    expect(pairing).to.have.property('AccessoryLTPK');
    await first.close();

    const client = new HttpClient(id, '127.0.0.1', port, pairing);
    const { accessories } = (await client.getAccessories()) as unknown as {
      accessories: {
        aid: number;
        services: { characteristics: { iid: number; perms: string[]; format: string }[] }[];
      }[];
    };
    const switchable = accessories[0]!.services
      .flatMap(({ characteristics }) => characteristics)
      .find(({ perms, format }) => format === 'bool' && perms.includes('ev') && perms.includes('pw'))!;
    const name = `1.${switchable.iid}`;
    const read = (await client.getCharacteristics([name])) as unknown as Event;
    expect(read.characteristics[0]).to.include({ aid: 1, iid: switchable.iid, value: false });

    const event = new Promise<Event>((resolve) => client.once('event', resolve as (event: unknown) => void));
    await client.subscribeCharacteristics([name]);
    const other = new HttpClient(id, '127.0.0.1', port, pairing);
    await other.setCharacteristics({ [name]: true });
    expect((await event).characteristics[0]).to.include({ aid: 1, iid: switchable.iid, value: true });
    await client.unsubscribeCharacteristics([name]);

    const list = await other.listPairings();
    expect(list, 'the list').to.not.equal(undefined);
    await other.removePairing(pairing.iOSDevicePairingID);
    await Promise.allSettled([client.close(), other.close()]);
    const late = new HttpClient(id, '127.0.0.1', port, pairing);
    const verified = await late.getAccessories().then(
      () => true,
      () => false,
    );
    expect(verified, 'Pair Verify after the removal').to.equal(false);
  });

  /** Ways accessories rightly have in which this controller is at a loss, and why. */
  const atALoss: Readonly<Record<string, string>> = {};

  for (const variant of variants.filter(({ dress, clone }) => dress === undefined && clone === undefined))
    it(`pairs with the benign variant ${variant.name}, verifies, reads and removes itself`, async () => {
      const random = seededRandom(5);
      const store = memoryStore();
      const one = new Accessory({ code: parseSetupCode(CODE), random, store, behaviour: twin(variant) });
      const listener = await listenTcp('127.0.0.1', 0, (connection) => void serve(one, connection));
      const accessoryId = text(one.identity.id);
      try {
        const steps = async (): Promise<void> => {
          const first = new HttpClient(accessoryId, '127.0.0.1', listener.port);
          await first.pairSetup(CODE, PLAIN);
          const pairing = first.getLongTermData()!;
          await first.close();
          const client = new HttpClient(accessoryId, '127.0.0.1', listener.port, pairing);
          const { accessories } = (await client.getAccessories()) as { accessories: readonly unknown[] };
          expect(accessories).to.have.length(1);
          await client.removePairing(pairing.iOSDevicePairingID);
          await client.close();
        };
        const tried = (): Promise<string | undefined> =>
          steps().then(
            () => undefined,
            (error: unknown) => String(error),
          );
        let why = await tried();
        // Of what it draws by lot one in some hundred has a leading zero byte, which it counts otherwise (erratum E05).
        if (why === 'Error: M4: Error: 2') why = await tried();
        if (atALoss[variant.name] === undefined) expect(why).to.equal(undefined);
        else expect(why, 'it manages now: take it out of the list').to.not.equal(undefined);
      } finally {
        await listener.close();
      }
    });
});
