/**
 * AirPlay receivers (seed 001): the same pairing under other paths, in RTSP or HTTP, with a code that is fixed or shown.
 * What is asked is where they differ from a HAP accessory: start lines and CSeq, what they announce, the keys behind a
 * transient Pair Setup, several senders at once, and an administration that need not be there.
 */
import {
  type Announced,
  type CheckContext,
  type Link,
  type Session,
  chapter,
  hap,
  header,
  outcomes,
} from '../../harness/suite.js';

const m2 = outcomes.success('setup-m2');
const inFrames = { allow: [outcomes.anyReply()], forbid: [outcomes.plaintextReply(), outcomes.silence()] };
const startLines = { http: 'HTTP/1.1', rtsp: 'RTSP/1.0' } as const;

async function announced({ bench, notApplicable }: CheckContext): Promise<Announced> {
  const found = await bench.options.announcements?.current();
  return found ?? notApplicable('nothing is announced at this address');
}

/** CSeq of an answer, beside that of the request. */
function sequences(
  link: Link,
  outcome: outcomes.Outcome,
): { sent: string; back: string | undefined; version: string } {
  const http = outcome.kind === 'reply' ? outcome.http : undefined;
  return { sent: String(link.sequence), back: http && header(http, 'CSeq'), version: http?.version ?? '' };
}

export default chapter('airplay.receiver', ({ check }) => [
  ...Object.entries(startLines).map(([name, startLine]) =>
    check(
      `AIRPLAY-01/${name}`,
      'Requests under both start lines',
      { from: 'any', costs: { m2: 1 }, allow: [m2] },
      async ({ controller, expect, warn }) => {
        const setup = await controller.setup();
        setup.link.startLine = startLine;
        const outcome = await setup.sendM1();
        expect(outcome).to.be.allowed();
        const version = outcome.kind === 'reply' ? outcome.http.version : '';
        if (version !== startLine) warn(`a request of ${startLine} is answered in ${version}`);
      },
    ),
  ),

  check(
    'AIRPLAY-02/plaintext',
    'CSeq comes back',
    { from: 'any', costs: { m2: 1 } },
    async ({ controller, expect }) => {
      const setup = await controller.setup();
      setup.link.startLine = 'RTSP/1.0';
      // Not the first one, whose number a receiver might have made up.
      setup.link.sequence = 4_711;
      const { sent, back } = sequences(setup.link, await setup.sendM1());
      const { sequence } = setup.link;
      expect(back, `CSeq of the answer, beside ${sent}`).to.equal(String(sequence));
    },
  ),
  check(
    'AIRPLAY-02/frames',
    'CSeq comes back',
    { from: 'unpaired', needs: ['TRANSIENT-02'], costs: { m2: 1, m4: 1 } },
    async ({ controller, expect }) => {
      const { session } = await controller.transient();
      session.link.startLine = 'RTSP/1.0';
      const outcome = await session.request(controller.profile.hello);
      const { sent, back } = sequences(session.link, outcome);
      expect(back, 'CSeq of the answer in a frame').to.equal(sent);
    },
  ),
  check(
    'AIRPLAY-02/http',
    'CSeq comes back',
    { from: 'any', costs: { m2: 1 } },
    async ({ controller, expect }) => {
      const setup = await controller.setup();
      setup.link.startLine = 'HTTP/1.1';
      setup.link.sequence = 4_711;
      const outcome = await setup.sendM1();
      const { back } = sequences(setup.link, outcome);
      expect([undefined, String(setup.link.sequence)], 'CSeq of the answer').to.include(back);
    },
  ),

  check(
    'AIRPLAY-03/transient',
    'What is announced works',
    { from: 'unpaired', costs: { m2: 1, m4: 1 }, ...inFrames },
    async (context) => {
      const { controller, expect, notApplicable, violate } = context;
      const { txt } = await announced(context);
      if (!hap.declaresTransient(txt)) notApplicable('no transient setup with the default code is announced');
      const found = await controller.tryTransient();
      if ('why' in found) return violate(`it is announced, and ${found.why}`);
      expect(found.hello, 'the first request in a frame').to.be.allowed();
    },
  ),
  check('AIRPLAY-03/encryption', 'What is announced works', { from: 'any' }, async (context) => {
    const { txt } = await announced(context);
    const features = txt.get('features') ?? context.notApplicable('features are not announced');
    context
      .expect(hap.airplayFeatures(features) !== undefined, `features "${features}" can be read`)
      .to.equal(true);
    const { SystemPairing, HomeKitPairing, TransientPairing, Encryption } = hap.AirPlayFeature;
    const pairs = [SystemPairing, HomeKitPairing, TransientPairing].filter((bit) => hap.airplayBit(txt, bit));
    const encrypts = hap.airplayBit(txt, Encryption) ? 'set' : 'not set';
    if (pairs.length > 0) context.observe('bit 38 of features', `${encrypts}, beside ${pairs.join(', ')}`);
    if (/^0x[0-9a-f]{1,7},/i.test(features))
      context.warn(
        `features "${features}": a low word of less than eight digits is misread by clients that put the digits of the high one in front`,
      );
  }),
  check('AIRPLAY-03/flags', 'What is announced works', { from: 'any' }, async (context) => {
    const { txt } = await announced(context);
    const flags = txt.get('flags') ?? context.notApplicable('flags are not announced');
    context.expect(flags, 'flags').to.match(/^0x[0-9a-f]{1,8}$/i);
  }),

  check('AIRPLAY-04', 'The announced key is the one that is proven', { from: 'paired' }, async (context) => {
    const { bench, expect, notApplicable } = context;
    const pk = (await announced(context)).txt.get('pk') ?? notApplicable('no pk is announced');
    const { ltpk } = bench.accessory ?? notApplicable('M6 told no LTPK');
    expect(pk.toLowerCase(), 'pk, beside the LTPK of M6').to.equal(hap.hex(ltpk));
  }),

  check(
    'AIRPLAY-05',
    'Keys of a transient session',
    { from: 'unpaired', needs: ['PS-M3-01'], costs: { m2: 1, m4: 1 }, ...inFrames },
    async ({ controller, bench, expect, violate }) => {
      const { hello } = await controller.transient();
      expect(hello, 'the first request in a frame').to.be.allowed();
      const [due] = controller.profile.transientKeys;
      const names = bench.learned.transientNames;
      if (names !== due) violate(`the keys go by the names of ${names?.name}, not of ${due?.name}`);
    },
  ),

  check(
    'AIRPLAY-06',
    'Several senders at once',
    { from: 'unpaired', needs: ['TRANSIENT-02'], costs: { m2: 2, m4: 2 }, ...inFrames },
    async ({ controller, bench, expect, violate }) => {
      const first = await controller.transientM2();
      const second = await controller.setup({ flags: hap.PairingFlag.Transient });
      expect(await second.sendM1(undefined, controller.stepWait, false), 'the second M1').to.be.allowed({
        allow: [m2],
      });
      second.answerM2();
      const setups = [first, second];
      for (const setup of setups)
        expect(await setup.sendM3(), 'M3').to.be.allowed({ allow: [outcomes.success('setup-m4')] });
      const names = bench.learned.transientNames ?? controller.profile.transientKeys[0]!;
      const sessions = setups.map((setup) => setup.secureTransient(names, false));
      for (const session of [...sessions, ...sessions]) {
        const outcome = await session.request(controller.profile.hello);
        if (outcome.kind !== 'reply' || !outcome.sealed)
          violate('one of two sessions at a time does not work');
        expect(outcome, 'a request in a frame').to.be.allowed();
      }
    },
  ),

  check(
    'AIRPLAY-07',
    'Transient setup beside a pairing',
    {
      from: 'paired',
      needs: ['PV-M3-01', 'TRANSIENT-02'],
      costs: { m2: 1, m4: 1, verifies: 1 },
      allow: [outcomes.anyReply()],
      forbid: [outcomes.plaintextReply(), outcomes.silence()],
    },
    async ({ controller, bench, expect, violate, notApplicable }) => {
      const found = await controller.tryTransient();
      if ('why' in found) {
        if (!(await bench.learned.declares('transient'))) notApplicable(found.why);
        return violate(`beside a pairing ${found.why}`);
      }
      expect(found.hello, 'the first request in a frame').to.be.allowed();
      const session = await controller.session();
      if (await session.lacks(hap.Method.ListPairings)) return;
      const listed = (await session.list()).entries.map(({ id }) => hap.hex(id));
      expect(listed, 'pairings behind it').to.deep.equal([hap.hex(session.identity.id)]);
    },
  ),

  ...(['add', 'remove', 'list'] as const).map((what) =>
    check(
      `AIRPLAY-08/${what}`,
      'Administration needs a verified session',
      {
        from: 'paired',
        needs: ['PV-M3-01'],
        costs: { verifies: 1 },
        allow: [outcomes.clientError(), outcomes.tlvError(2)],
        tolerate: [outcomes.anyRefusal()],
        forbid: [outcomes.success(`pairings-${what}`), outcomes.silence()],
      },
      async ({ controller, bench, expect }) => {
        const stranger = controller.newIdentity();
        const items = {
          add: hap.addPairing(stranger.id, stranger.ltpk, hap.Permission.Admin),
          remove: hap.removePairing(bench.admin!.id),
          list: hap.listPairings(),
        };
        if (what === 'add') bench.remember(stranger, 'add-pairing');
        const link = await controller.open();
        expect(await controller.post(link, link.profile.paths.pairings, items[what])).to.be.allowed();
        const session = await controller.session();
        const listed = (await session.list()).entries.map(({ id }) => hap.hex(id));
        expect(listed, 'pairings behind it').to.deep.equal([hap.hex(session.identity.id)]);
      },
    ),
  ),

  ...Object.entries({
    'add-to-pair-list': '/pair-list',
    'list-to-pair-add': '/pair-add',
  }).map(([name, path]) =>
    check(
      `AIRPLAY-09/${name}`,
      'Path and Method agree',
      {
        from: 'paired',
        needs: ['PV-M3-01', 'PAIRINGS-01'],
        costs: { verifies: 1 },
        allow: [
          outcomes.anyRefusal(),
          outcomes.success(path === '/pair-list' ? 'pairings-list' : 'pairings-add'),
        ],
        ...(path === '/pair-list' ? {} : { forbid: [outcomes.success('pairings-list')] }),
      },
      async ({ controller, bench, expect }) => {
        const session: Session = await controller.session();
        const guest = controller.newIdentity();
        const adds = path === '/pair-list';
        if (adds) {
          bench.remember(guest, 'add-pairing');
          bench.household.guests.add(hap.hex(guest.id));
        }
        const items = adds ? hap.addPairing(guest.id, guest.ltpk, hap.Permission.User) : hap.listPairings();
        const outcome = await controller.post(session.link, path, items);
        const accepted =
          outcome.kind === 'reply' && outcome.tlv !== undefined && !outcome.tlv.has(hap.TlvType.Error);
        const ids = (await (await openOr(session, controller)).list()).entries.map(({ id }) => hap.hex(id));
        expect(ids, 'pairings behind it').to.deep.equal([hap.hex(session.identity.id)]);
        if (adds) bench.household.guests.delete(hap.hex(guest.id));
        if (adds && accepted)
          expect(outcome, 'an Add at /pair-list').to.be.allowed({
            allow: [outcomes.success('pairings-list')],
          });
        else expect(outcome).to.be.allowed();
      },
    ),
  ),

  check(
    'AIRPLAY-10',
    'Request to show the PIN',
    {
      from: 'any',
      costs: { m2: 1 },
      allow: [outcomes.answered(200), outcomes.clientError()],
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.silence()],
    },
    async ({ controller, expect, observe }) => {
      const link = await controller.open();
      const path = controller.profile.pinStart!;
      const outcome = await controller.request(link, { method: 'POST', path, body: new Uint8Array(0) });
      expect(outcome).to.be.allowed();
      observe('/pair-pin-start', outcome.kind === 'reply' ? `HTTP ${outcome.http.status}` : outcome.kind);
      const next = (await link.stillOpen(50)) ? link : await controller.open();
      expect(
        await controller.post(next, link.profile.paths.setup, hap.setupM1()),
        'M1 behind it',
      ).to.be.allowed({
        allow: [m2],
        tolerate: [outcomes.anyRefusal()],
        forbid: [outcomes.silence()],
      });
      controller.bench.spent.m2++;
    },
  ),

  check(
    'AIRPLAY-11',
    'Header and Flags disagree',
    {
      from: 'unpaired',
      risky: true,
      costs: { m2: 1, m4: 1 },
      allow: [m2, outcomes.tlvError(2)],
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.silence()],
    },
    async ({ controller, bench, expect, observe }) => {
      const setup = await controller.setup({ flags: hap.PairingFlag.Transient });
      setup.link.kind = 'regular';
      const outcome = await setup.sendM1();
      expect(outcome).to.be.allowed();
      if (!m2.matches(outcome)) return observe('Flags 0x10 with X-Apple-HKP 3', 'refused');
      setup.answerM2();
      const m4 = await setup.sendM3();
      expect(m4, 'M3').to.be.allowed({
        allow: [outcomes.success('setup-m4'), outcomes.tlvError(4)],
        tolerate: [outcomes.anyRefusal()],
        forbid: [outcomes.silence()],
      });
      if (!outcomes.success('setup-m4').matches(m4))
        return observe('Flags 0x10 with X-Apple-HKP 3', 'refused in M4');
      const session = setup.secureTransient(
        bench.learned.transientNames ?? controller.profile.transientKeys[0]!,
        false,
      );
      const hello = await session.request(controller.profile.hello);
      const framed = hello.kind === 'reply' && hello.sealed;
      observe('Flags 0x10 with X-Apple-HKP 3', framed ? 'transient' : 'no frames behind M4');
    },
  ),

  check(
    'AIRPLAY-12',
    'Pair Setup under an identifier that is paired, with another key',
    {
      from: 'paired',
      needs: ['PS-M5-01', 'PV-M3-01'],
      costs: { m2: 1, m4: 1, m6: 1, verifies: 3 },
      allow: [outcomes.success('setup-m6'), outcomes.tlvError(6)],
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.silence()],
    },
    async ({ controller, bench, expect, observe, violate }) => {
      controller.needsRemoval();
      const admin = bench.admin!;
      const before = await controller.letIn(await controller.session());
      const after = controller.newIdentity(before.id);
      const setup = await controller.pairSetup({ identity: after });
      await setup.m3();
      const outcome = await setup.sendM5();
      const stored = setup.accepted(outcome);
      bench.paired(admin, bench.accessory);
      bench.household.guests.add(hap.hex(before.id));
      expect(outcome, 'M5 of an identifier that is paired, with another key').to.be.allowed();
      const opens = { before: await controller.isStored(before), after: await controller.isStored(after) };
      observe('pairing again with another key', stored ? 'replaces it' : 'is refused');
      if (stored && !opens.after) violate('M6 was sent, and the key it confirms does not open the receiver');
      if (!stored && opens.after) violate('M5 was refused, and its key opens the receiver');
      if (!stored && !opens.before) violate('M5 was refused, and the key that was paired is gone');
      if (opens.before && opens.after) violate('two keys open the receiver under one identifier');
    },
  ),
]);

async function openOr(session: Session, controller: CheckContext['controller']): Promise<Session> {
  return (await session.link.stillOpen(50)) ? session : controller.session();
}
