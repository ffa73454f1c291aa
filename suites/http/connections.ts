/**
 * Connections below the messages: requests in pieces or in a row, lengths that are wrong, slow and half-open clients.
 * A controller that goes away in the middle must cost the accessory nothing that the next controller needs.
 * Most is sent as raw bytes, because HTTP libraries would not send it.
 */
import { chapter, hap, outcomes } from '../../harness/suite.js';
import * as sent from './raw.js';

const refused = {
  allow: [outcomes.unauthorised()],
  tolerate: [outcomes.serverError(), outcomes.closed()],
  forbid: [outcomes.served()],
};

/** Milliseconds the stalled connections stay: the minute of the requirement is free in memory alone. */
const HOLD = { virtual: 60_000, real: 20_000 };
const ROUNDS = 3;

const refusals = [outcomes.tlvError(2), outcomes.clientError(), outcomes.closed()];
/** What else a length may come to: the accessory waits for bytes it was promised. */
const waits = outcomes.silence();

interface Anomaly {
  readonly bytes: hap.Bytes;
  readonly allow: readonly outcomes.Matcher[];
  readonly tolerate?: readonly outcomes.Matcher[];
  readonly forbid?: readonly outcomes.Matcher[];
}

function lengths(...values: readonly string[]): hap.Bytes {
  return sent.rawM1(sent.hostHeader, sent.typeHeader, ...values.map((value) => `Content-Length: ${value}`));
}

const size = sent.m1Body.length;
/** Requests whose length, or whose form, is not what a parser expects (RFC 9112 §6.3). */
const anomalies: Readonly<Record<string, Anomaly>> = {
  'length-twice': { bytes: lengths(`${size}`, `${size}`), allow: [sent.m2, ...refusals] },
  'lengths-that-differ': {
    bytes: lengths(`${size}`, `${size + 1}`),
    allow: [...refusals, waits],
    forbid: [sent.m2],
  },
  'negative-length': { bytes: lengths(`-${size}`), allow: [...refusals, waits] },
  'length-of-a-gigabyte': { bytes: lengths('999999999'), allow: [...refusals, waits] },
  // Without a length there is no body (RFC 9112 §6.3), but some take what is there.
  'no-length': {
    bytes: sent.rawM1(sent.hostHeader, sent.typeHeader),
    allow: [...refusals, waits],
    tolerate: [sent.m2],
  },
  chunked: {
    bytes: sent.raw(
      'POST /pair-setup HTTP/1.1',
      [sent.hostHeader, sent.typeHeader, 'Transfer-Encoding: chunked'],
      hap.concat(hap.utf8(`${size.toString(16)}\r\n`), sent.m1Body, hap.utf8('\r\n0\r\n\r\n')),
    ),
    allow: [sent.m2, ...refusals],
  },
  'expect-continue': {
    bytes: sent.rawM1(sent.hostHeader, sent.typeHeader, 'Expect: 100-continue', sent.lengthHeader),
    allow: [sent.m2, ...refusals],
  },
  // Who looks for CR LF CR LF only goes on waiting for it.
  'line-feeds-only': {
    bytes: sent.raw(
      'POST /pair-setup HTTP/1.1',
      [sent.hostHeader, sent.typeHeader, sent.lengthHeader],
      sent.m1Body,
      '\n',
    ),
    allow: [sent.m2, ...refusals, waits],
  },
  'header-of-20-kilobytes': {
    bytes: sent.rawM1(
      sent.hostHeader,
      sent.typeHeader,
      `X-Long: ${'x'.repeat(20 * 1024)}`,
      sent.lengthHeader,
    ),
    allow: [sent.m2, ...refusals, waits],
  },
  'garbage-first-line': {
    bytes: sent.raw(
      '\u0001\u0002 hapspec ~~~',
      [sent.hostHeader, sent.typeHeader, sent.lengthHeader],
      sent.m1Body,
    ),
    allow: [...refusals, waits],
  },
};

export default chapter(
  'http.messages',
  ({ check }) => [
    check(
      'HTTP-07/headers-and-body',
      'Request bytes may arrive in any segmentation',
      { from: 'unpaired', risky: true, costs: { m2: 1 }, allow: [sent.m2], forbid: [outcomes.anyRefusal()] },
      async (context) => {
        const link = await context.controller.open();
        const bytes = link.dress(sent.rawM1(sent.hostHeader, sent.typeHeader, sent.lengthHeader));
        const at = bytes.length - sent.m1Body.length;
        const words = 'M1, its body in a second segment';
        context
          .expect(await sent.sendBytes(context, link, words, bytes.subarray(0, at), bytes.subarray(at)))
          .to.be.allowed();
      },
    ),
    check(
      'HTTP-07/every-byte-alone',
      'Request bytes may arrive in any segmentation',
      {
        from: 'unpaired',
        risky: true,
        costs: { m2: 1 },
        allow: [sent.m2],
        tolerate: [outcomes.anyRefusal()],
      },
      async ({ controller, bench, expect }) => {
        const link = await controller.open();
        link.said('M1, every byte in a segment of its own');
        for (const byte of link.dress(sent.rawM1(sent.hostHeader, sent.typeHeader, sent.lengthHeader))) {
          link.send(Uint8Array.of(byte));
          await bench.clock.sleep(1);
        }
        const outcome = await link.outcome(controller.judgedWait);
        bench.tally.countM2(outcome);
        expect(outcome).to.be.allowed();
      },
    ),
    check(
      'HTTP-07/m3-inside-an-item',
      'Request bytes may arrive in any segmentation',
      {
        from: 'unpaired',
        risky: true,
        needs: ['PS-M3-01'],
        costs: { m2: 1, m4: 1 },
        allow: [outcomes.success('setup-m4')],
      },
      async ({ controller, bench, expect }) => {
        const setup = await controller.pairSetup();
        const body = hap.encodeTlv(setup.machine.m3());
        const headers = [['Content-Type', controller.profile.mediaType]] as const;
        const bytes = setup.link.encode({ method: 'POST', path: '/pair-setup', headers, body });
        const at = bytes.length - 100;
        setup.link.said('M3, cut inside an item');
        setup.link.send(bytes.subarray(0, at));
        await bench.clock.sleep(sent.GAP);
        setup.link.send(bytes.subarray(at));
        bench.spent.m4++;
        const outcome = await setup.link.outcome(controller.judgedWait);
        if (!outcomes.success('setup-m4').matches(outcome)) bench.tally.spendAttempt();
        expect(outcome).to.be.allowed();
      },
    ),
    check(
      'HTTP-07/cut-anywhere',
      'Request bytes may arrive in any segmentation',
      {
        from: 'paired',
        keyless: true,
        risky: true,
        alone: true,
        costs: { verifies: 6 },
        allow: [outcomes.success('verify-m2')],
      },
      async ({ controller, bench, expect, random }) => {
        for (let i = 0; i < 6; i++) {
          const verify = await controller.verify();
          const { link } = verify;
          const headers = [['Content-Type', controller.profile.mediaType]] as const;
          const body = hap.encodeTlv(verify.machine.m1());
          const bytes = link.encode({ method: 'POST', path: '/pair-verify', headers, body });
          // The first cut is inside the start line, the others are anywhere.
          const at = i === 0 ? 5 : 1 + random.below(bytes.length - 1);
          link.said(`Pair Verify M1, cut behind byte ${at} of ${bytes.length}`);
          link.send(bytes.subarray(0, at));
          await bench.clock.sleep(20);
          link.send(bytes.subarray(at));
          bench.spent.verifies++;
          expect(await link.outcome(controller.judgedWait), `cut behind byte ${at}`).to.be.allowed();
        }
      },
    ),
    check(
      'HTTP-08',
      'Pipelined plaintext requests',
      { from: 'unpaired', risky: true, costs: { m2: 1 }, allow: [sent.m2] },
      async (context) => {
        const { controller, expect } = context;
        const link = await controller.open();
        const second = sent.raw('GET /nope HTTP/1.1', [sent.hostHeader], new Uint8Array(0));
        const bytes = hap.concat(
          link.dress(sent.rawM1(sent.hostHeader, sent.typeHeader, sent.lengthHeader)),
          link.dress(second),
        );
        const first = await sent.sendBytes(context, link, 'M1 and GET /nope in one segment', bytes);
        expect(first).to.be.allowed();
        const outcome = await link.outcome(controller.judgedWait);
        expect(outcome, 'the second request').to.be.allowed({
          allow: [outcomes.clientError(), outcomes.closed()],
          tolerate: [outcomes.serverError()],
        });
      },
    ),
    ...Object.entries(anomalies).map(([name, { bytes, ...alternatives }]) =>
      check(
        `HTTP-09/${name}`,
        'Length anomalies',
        {
          from: 'unpaired',
          risky: true,
          costs: { m2: ['length-twice', 'chunked', 'expect-continue'].includes(name) ? 1 : 0 },
          ...alternatives,
          tolerate: [...(alternatives.tolerate ?? []), outcomes.serverError()],
        },
        async (context) => {
          const { controller, expect } = context;
          const link = await controller.open();
          expect(await sent.sendBytes(context, link, `M1 with ${name}`, link.dress(bytes))).to.be.allowed();
          const other = await controller.request(await controller.open(), sent.requests['get-accessories']);
          if (other.kind !== 'reply')
            context.violate(`another connection is not served meanwhile: ${outcomes.describeOutcome(other)}`);
        },
      ),
    ),
    ...Object.entries(sent.requests).map(([name, request]) =>
      check(
        `HTTP-05/${name}`,
        'Protected endpoints without a verified session',
        { from: 'paired', keyless: true, costs: { verifies: 1 }, ...refused },
        async ({ controller, bench, expect }) => {
          const link = await controller.open();
          expect(await controller.request(link, request)).to.be.allowed();
          // Pair Verify on the same connection works, or the accessory closed it.
          if (bench.admin !== undefined && (await link.stillOpen(50))) await controller.session({ link });
        },
      ),
    ),
    check(
      'HTTP-05/get-accessories-when-unpaired',
      'Protected endpoints without a verified session',
      { from: 'unpaired', ...refused },
      async ({ controller, expect }) => {
        expect(
          await controller.request(await controller.open(), sent.requests['get-accessories']),
        ).to.be.allowed();
      },
    ),
    ...(['after-verify-m2', 'after-a-failed-verify'] as const).map((moment) =>
      check(
        `HTTP-05/get-accessories-${moment}`,
        'Protected endpoints without a verified session',
        { from: 'paired', keyless: true, costs: { verifies: 1 }, ...refused },
        async ({ controller, expect }) => {
          const verify = await controller.pairVerify({ as: controller.newIdentity() });
          if (moment === 'after-a-failed-verify') await verify.sendM3();
          expect(await controller.request(verify.link, sent.requests['get-accessories'])).to.be.allowed();
        },
      ),
    ),
    check(
      'HTTP-10',
      'Connection persists over the pairing messages',
      {
        from: 'unpaired',
        leaves: 'paired',
        costs: { m2: 1, m4: 1, m6: 1 },
        allow: [outcomes.success('setup-m6')],
      },
      async ({ controller, expect, violate }) => {
        const setup = await controller.pairSetup();
        if (!(await setup.link.stillOpen(sent.FIN_WAIT)))
          violate('the accessory closed the connection after M2');
        await setup.m3();
        if (!(await setup.link.stillOpen(sent.FIN_WAIT)))
          violate('the accessory closed the connection after M4');
        const outcome = await setup.asGuest().sendM5();
        expect(outcome).to.be.allowed();
        if (outcome.kind === 'reply') setup.readM6(outcome);
      },
    ),
    ...(
      [
        ['version-1-0', 'HTTP/1.0', []],
        ['close-requested', 'HTTP/1.1', ['Connection: close']],
      ] as const
    ).map(([name, version, extra]) =>
      check(
        `HTTP-10/${name}`,
        'Connection persists over the pairing messages',
        { from: 'unpaired', risky: true, costs: { m2: 1 }, allow: [sent.m2] },
        async (context) => {
          const link = await context.controller.open();
          const headers = [sent.hostHeader, sent.typeHeader, sent.lengthHeader, ...extra];
          const bytes = link.dress(sent.raw(`POST /pair-setup ${version}`, headers, sent.m1Body));
          context.expect(await sent.sendBytes(context, link, `M1, ${name}`, bytes)).to.be.allowed();
        },
      ),
    ),
    // The four ways to keep a socket busy, each of which has locked a device of eight sockets.
    check(
      'SEC-10',
      'Half-open and slow clients do not lock others out',
      {
        from: 'paired',
        keyless: true,
        risky: true,
        alone: true,
        costs: { verifies: 5, seconds: 20 },
        allow: [outcomes.success('verify-m2')],
      },
      async ({ controller, bench, expect }) => {
        const stalled = ['', 'POST /pair-ver', `POST /pair-verify HTTP/1.1\r\n${sent.lengthHeader}\r\n\r\n`];
        for (const bytes of [
          ...stalled.map(hap.utf8),
          sent.rawM1(sent.hostHeader, sent.typeHeader, sent.lengthHeader).slice(0, -3),
        ]) {
          const link = await controller.open();
          link.said(`${bytes.length} bytes of a request, and no more`);
          if (bytes.length > 0) link.send(bytes);
        }
        const hold = bench.clock.virtual ? HOLD.virtual : HOLD.real;
        for (let i = 0; i <= ROUNDS; i++) {
          if (i > 0) await bench.clock.sleep(hold / ROUNDS);
          const verify = await controller.verify();
          expect(await verify.sendM1(), `a fifth connection, ${i} of ${ROUNDS}`).to.be.allowed();
          await verify.link.close();
        }
        await bench.closeLinks();
        const verify = await controller.verify();
        expect(await verify.sendM1(), 'when they have gone').to.be.allowed();
      },
    ),
  ],
  'connections',
);
