/**
 * Each message with each defect: State wrong or missing, an item missing, doubled, cut, oversized, under a broken tag.
 * A cell is the right message with one thing wrong; the accessory refuses and grants nothing.
 * Cells that have a requirement of their own are in its chapter.
 */
import {
  type Cell,
  type CheckSpec,
  type Controller,
  chapter,
  edits,
  hap,
  outcomes,
} from '../../harness/suite.js';

/** A valid message of the protocol, ready to be sent with one thing wrong. */
interface Message {
  readonly name: Cell[0];
  readonly spec: CheckSpec;
  /** The success it must not be given when it is wrong. */
  readonly success: outcomes.Matcher;
  readonly state: number;
  /** The item that carries what the message is for. */
  readonly item: 'PublicKey' | 'Proof' | 'EncryptedData' | 'Flags' | 'Identifier' | 'Method';
  /** Brings the accessory to the point; returns the items, and what sends bytes in their place. */
  prepare(controller: Controller): Promise<{
    readonly items: readonly hap.TlvItem[];
    send(body: hap.Bytes): Promise<outcomes.Outcome>;
    /** Takes note of what a message that was served has changed. */
    served?(outcome: outcomes.Outcome): void;
    /** True when a message that was refused has changed something all the same. */
    harmed?(): Promise<boolean>;
  }>;
}

const administration = {
  from: 'paired',
  needs: ['PV-M3-01', 'PAIRINGS-01'],
  costs: { verifies: 3 },
} as const;

const messages: readonly Message[] = [
  {
    name: 'setup-m1',
    spec: { from: 'unpaired', costs: { m2: 1 } },
    success: outcomes.success('setup-m2'),
    state: 2,
    item: 'Flags',
    async prepare(controller) {
      const setup = await controller.setup();
      return {
        // Four bytes without a flag: there is something to split, and nothing to ask for.
        items: [...setup.machine.m1(), hap.tlv(hap.TlvType.Flags, new Uint8Array(4))],
        send: (body) => setup.sendM1Bytes(body),
      };
    },
  },
  {
    name: 'setup-m3',
    spec: { from: 'unpaired', needs: ['PS-M3-01'], costs: { m2: 1, m4: 1, attempts: 1 } },
    success: outcomes.success('setup-m4'),
    state: 4,
    item: 'Proof',
    async prepare(controller) {
      const setup = await controller.pairSetup();
      return { items: setup.machine.m3(), send: (body) => setup.sendM3Bytes(body) };
    },
  },
  {
    name: 'setup-m5',
    spec: { from: 'unpaired', needs: ['PS-M5-01'], costs: { m2: 1, m4: 1, m6: 1, verifies: 1 } },
    success: outcomes.success('setup-m6'),
    state: 6,
    item: 'EncryptedData',
    async prepare(controller) {
      const setup = await controller.pairSetup();
      await setup.m3();
      return {
        items: setup.machine.m5(),
        send: (body) => setup.sendM5Bytes(body),
        served: (outcome) => setup.accepted(outcome),
        harmed: () => controller.isStored(setup.identity),
      };
    },
  },
  {
    name: 'verify-m1',
    spec: { from: 'paired', keyless: true, costs: { verifies: 1 } },
    success: outcomes.success('verify-m2'),
    state: 2,
    item: 'PublicKey',
    async prepare(controller) {
      const link = await controller.open();
      const { machine } = await controller.verify({ link });
      return { items: machine.m1(), send: (body) => controller.postToVerify(link, body) };
    },
  },
  {
    name: 'verify-m3',
    spec: { from: 'paired', needs: ['PV-M3-01'], costs: { verifies: 1 } },
    success: outcomes.success('verify-m4'),
    state: 4,
    item: 'EncryptedData',
    async prepare(controller) {
      const verify = await controller.pairVerify();
      return { items: verify.machine.m3(), send: (body) => verify.sendM3Bytes(body) };
    },
  },
  {
    name: 'add',
    spec: administration,
    success: outcomes.success('pairings-add'),
    state: 2,
    item: 'PublicKey',
    async prepare(controller) {
      const session = await controller.session();
      const user = controller.newIdentity();
      controller.bench.remember(user, 'add-pairing');
      return {
        items: hap.addPairing(user.id, user.ltpk, hap.Permission.User),
        send: (body) => session.sendPairingsBytes(body),
        harmed: () => isListed(controller, user),
      };
    },
  },
  {
    name: 'remove',
    spec: administration,
    success: outcomes.success('pairings-remove'),
    state: 2,
    item: 'Identifier',
    async prepare(controller) {
      const session = await controller.session();
      const user = controller.newGuest();
      await session.add(user, hap.Permission.User);
      return {
        items: hap.removePairing(user.id),
        send: (body) => session.sendPairingsBytes(body),
        harmed: async () => !(await isListed(controller, user)),
      };
    },
  },
  {
    name: 'list',
    spec: administration,
    success: outcomes.success('pairings-list'),
    state: 2,
    item: 'Method',
    async prepare(controller) {
      const session = await controller.session();
      return { items: hap.listPairings(), send: (body) => session.sendPairingsBytes(body) };
    },
  },
];

async function isListed(controller: Controller, { id }: hap.Identity): Promise<boolean> {
  const { entries } = await (await controller.session()).list();
  return entries.some((entry) => hap.equal(entry.id, id));
}

type Verdict = 'refused' | 'either' | 'served';

interface Defect {
  readonly name: Cell[1];
  /** What the message with it deserves. */
  readonly verdict: Verdict;
  /** Changes the items. */
  edit?(message: Message): edits.Edit;
  /** Changes the bytes. */
  cut?(body: hap.Bytes): hap.Bytes;
  /** Messages whose cell is another check already. */
  readonly elsewhere: readonly Cell[0][];
}

const defects: readonly Defect[] = [
  {
    name: 'state-wrong',
    verdict: 'refused',
    edit: () => edits.replace('State', 9),
    elsewhere: ['setup-m1', 'verify-m1', 'list'],
  },
  {
    name: 'state-missing',
    verdict: 'refused',
    edit: () => edits.drop('State'),
    elsewhere: ['setup-m1', 'verify-m1', 'list'],
  },
  {
    name: 'duplicated',
    verdict: 'either',
    // In front of all others, so that no reader takes it for a fragment.
    edit:
      ({ item }) =>
      (items) => [...items.filter(({ type }) => type === hap.TlvType[item]), ...items],
    elsewhere: ['setup-m1'],
  },
  {
    name: 'split',
    verdict: 'either',
    edit:
      ({ item }) =>
      (items) =>
        items.flatMap((one) =>
          one.type === hap.TlvType[item]
            ? [hap.tlv(one.type, one.value.subarray(0, 2)), hap.tlv(one.type, one.value.subarray(2))]
            : [one],
        ),
    elsewhere: ['setup-m3'],
  },
  {
    name: 'truncated',
    verdict: 'refused',
    cut: (body) => body.subarray(0, body.length - 1),
    elsewhere: ['setup-m1'],
  },
  {
    name: 'trailing',
    verdict: 'either',
    cut: (body) => hap.concat(body, Uint8Array.of(0x7f)),
    elsewhere: [],
  },
  {
    name: 'unknown',
    verdict: 'served',
    edit: () => edits.insert(hap.tlv(0x7f, Uint8Array.of(1, 2, 3, 4)), 1),
    elsewhere: ['setup-m1', 'verify-m1', 'list'],
  },
  {
    name: 'oversized',
    verdict: 'either',
    edit: () => edits.insert(hap.tlv(0x7f, new Uint8Array(5_000)), -1),
    elsewhere: ['setup-m1'],
  },
];

function alternatives({ name, success: granted, state }: Message, verdict: Verdict): CheckSpec {
  // State of /pairings need not be looked at (PAIRINGS-17), and what is cut short may be taken as it is (TLV-09).
  const lenient = verdict === 'refused' && ['add', 'remove', 'list'].includes(name);
  const refusal = [outcomes.tlvError(state), outcomes.badRequest()];
  return {
    from: 'any',
    allow: verdict === 'served' ? [granted] : verdict === 'either' ? [granted, ...refusal] : refusal,
    // What is unknown has to be ignored (TLV-02).
    tolerate: verdict === 'served' ? [] : [outcomes.anyRefusal(), ...(lenient ? [granted] : [])],
    forbid: verdict === 'refused' && !lenient ? [granted, outcomes.silence()] : [outcomes.silence()],
  };
}

/** The cells of the grid that no other check fills: a valid message with one thing wrong. */
export default chapter('tlv8.grid', ({ check }) =>
  defects.flatMap(({ name, verdict, edit, cut, elsewhere }) =>
    messages
      .filter((message) => !elsewhere.includes(message.name))
      .map((message) =>
        check(
          `TLV-14/${message.name}-${name}`,
          'Arbitrary bytes never crash, hang or advance the accessory',
          { ...alternatives(message, verdict), ...message.spec, risky: true, grid: [message.name, name] },
          async ({ controller, expect, observe }) => {
            const { items, send, served, harmed } = await message.prepare(controller);
            const whole = hap.encodeTlv(edits.applyEdit(items, edit?.(message)));
            const outcome = await send(cut === undefined ? whole : cut(whole));
            expect(outcome).to.be.allowed();
            const granted = message.success.matches(outcome);
            observe(name, granted ? 'served' : 'refused');
            if (granted) served?.(outcome);
            else if (harmed !== undefined) expect(await harmed(), 'stored').to.equal(false);
          },
        ),
      ),
  ),
);
