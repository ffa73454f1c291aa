/**
 * Requests as real controllers write them: every form of Host, the headers of known controllers in their order, and
 * requests as large as those of a hub.
 * What other checks send is written like this harness; an accessory that serves only that is no accessory.
 */
import {
  type Characteristic,
  type CheckContext,
  type Link,
  chapter,
  hap,
  outcomes,
} from '../../harness/suite.js';

type Header = readonly [name: string, value: string];

/** Host as clients send it; `own` is where the accessory is asked, with its port. */
const hosts: Readonly<Record<string, (own: string) => string>> = {
  // Names of DNS-SD with what is no letter as a backslash and three decimal digits, or one character (RFC 1035 §5.1).
  'dns-sd-name': () => 'Lamp\\0321._hap._tcp.local',
  'dns-sd-name-in-utf-8': () => 'K\\195\\188che\\032\\(\\226\\152\\188\\)._hap._tcp.local',
  'dns-sd-name-of-63-bytes': () => `${'Lamp\\032'.repeat(12)}abc._hap._tcp.local`,
  'local-name': () => 'lamp-2.local',
  'local-name-with-port': (own) => `lamp-2.local:${portOf(own)}`,
  ipv4: (own) => addressOf(own),
  'ipv4-with-port': (own) => `${addressOf(own)}:${portOf(own)}`,
  ipv6: () => '[fe80::1c2d:3eff:fe4f:5a6b]',
  'ipv6-with-port': (own) => `[fe80::1c2d:3eff:fe4f:5a6b]:${portOf(own)}`,
};

function portOf(own: string): string {
  return /:(\d+)$/.exec(own)?.[1] ?? '51826';
}

/** The IPv4 address it is asked at, or one of those that are kept for examples (RFC 5737). */
function addressOf(own: string): string {
  return /^\d+(\.\d+){3}/.exec(own)?.[0] ?? '192.0.2.20';
}

/** The headers of those names, in that order; what is not there is left out. */
function ordered(headers: readonly Header[], ...names: readonly string[]): Header[] {
  return names.flatMap((name) => headers.filter(([given]) => given === name));
}

function withHost(headers: readonly Header[], host: string): Header[] {
  return headers.map(([name, value]) => [name, name === 'Host' ? host : value]);
}

/** How known controllers write the headers of each request. */
const controllers: Readonly<Record<string, (headers: readonly Header[], own: string) => readonly Header[]>> =
  {
    ios: (headers) =>
      withHost(ordered(headers, 'Host', 'Content-Length', 'Content-Type'), 'Lamp\\0321._hap._tcp.local'),
    aiohomekit: (headers, own) =>
      withHost(ordered(headers, 'Host', 'Content-Length', 'Content-Type'), addressOf(own)),
    'homekit-python': (headers, own) =>
      withHost(ordered(headers, 'Host', 'Content-Type', 'Content-Length'), addressOf(own)),
    openhab: (headers, own) =>
      withHost(
        ordered(
          headers.flatMap(([name, value]) =>
            name === 'Content-Type'
              ? [['Accept', value] as const, [name, value] as const]
              : [[name, value] as const],
          ),
          'Host',
          'Accept',
          'Content-Type',
          'Content-Length',
        ),
        `${addressOf(own)}:${portOf(own)}`,
      ),
    'hap-controller': (headers, own) =>
      withHost(
        ordered(headers, 'Host', 'Content-Type', 'Content-Length'),
        `${addressOf(own)}:${portOf(own)}`,
      ),
  };

/** A session comes about, and List is served in it. */
const needs = ['PV-M3-01', 'PAIRINGS-01'];
const m2 = outcomes.success('verify-m2');
const m4 = outcomes.success('verify-m4');

function writeAs(link: Link, write: (headers: readonly Header[], own: string) => readonly Header[]): Link {
  link.handwriting = (headers) => write(headers, link.host);
  return link;
}

/** Pair Verify, a read and a list in its session, each message written so. */
async function verifies(
  { controller, expect }: CheckContext,
  write: (headers: readonly Header[], own: string) => readonly Header[],
): Promise<void> {
  const verify = await controller.verify({ link: writeAs(await controller.open(), write) });
  expect(await verify.sendM1(), 'Pair Verify M1').to.be.allowed({ allow: [m2] });
  controller.accept(verify.m2!);
  expect(await verify.sendM3(), 'Pair Verify M3').to.be.allowed({ allow: [m4] });
  const session = verify.secure();
  expect(await session.get(controller.profile.resource), 'a request in the session').to.be.allowed({
    allow: [outcomes.answered(200)],
  });
  expect(await session.sendPairings(hap.listPairings()), 'List in the session').to.be.allowed({
    allow: [outcomes.success('pairings-list')],
  });
}

/** Bytes of a URI that every hub reaches with two dozen accessories behind one bridge. */
const LONG_URI = 1_500;
/** Milliseconds between frames of one request: enough that none shares a segment. */
const FRAME_GAP = 60;
const read = { allow: [outcomes.answered(200), outcomes.answered(207)] };
const json: readonly Header[] = [['Content-Type', 'application/hap+json']];

function idsOf(characteristics: readonly Characteristic[], permission: string): string[] {
  return characteristics
    .filter(({ perms }) => perms.includes(permission))
    .map(({ aid, iid }) => `${aid}.${iid}`)
    .slice(0, 100);
}

/** Characteristics a hub subscribes to. */
function notifying(all: readonly Characteristic[]): readonly Characteristic[] {
  return all.filter(({ perms }) => perms.includes('ev')).slice(0, 100);
}

/** Entries in the answer to a read; undefined when it is none. */
function entriesIn(body: hap.Bytes): number | undefined {
  try {
    return (JSON.parse(hap.text(body)) as { characteristics: unknown[] }).characteristics.length;
  } catch {
    return undefined;
  }
}

export default chapter('http.controllers', ({ check }) => [
  ...Object.entries(hosts).map(([name, host]) =>
    check(
      `HTTP-11/${name}`,
      'Requests as real controllers write them',
      { from: 'paired', needs, risky: true, costs: { verifies: 1 }, allow: [m4] },
      (context) => verifies(context, (headers, own) => withHost(headers, host(own))),
    ),
  ),
  ...Object.entries(controllers).map(([name, write]) =>
    check(
      `HTTP-11/as-${name}`,
      'Requests as real controllers write them',
      { from: 'paired', needs, risky: true, costs: { verifies: 1 }, allow: [m4] },
      (context) => verifies(context, write),
    ),
  ),
  check(
    'HTTP-11/pair-setup-of-a-paired-accessory',
    'Requests as real controllers write them',
    {
      from: 'paired',
      keyless: true,
      needs: ['PS-M1-13/plain'],
      risky: true,
      allow: [outcomes.tlvError(2, 'Unavailable')],
      tolerate: [outcomes.misplacedError(2, 'Unavailable')],
    },
    async ({ controller, bench, expect }) => {
      for (const [name, host] of Object.entries(hosts)) {
        const link = writeAs(await controller.open(), (headers, own) => withHost(headers, host(own)));
        const setup = await controller.setup({ link });
        expect(await setup.sendM1(), `M1, Host: ${name}`).to.be.allowed();
        await bench.closeLinks();
      }
    },
  ),
  check(
    'HTTP-11/pair-setup-as-ios',
    'Requests as real controllers write them',
    {
      from: 'unpaired',
      leaves: 'paired',
      needs: ['PS-M5-01', ...needs],
      risky: true,
      costs: { m2: 1, m4: 1, m6: 1, verifies: 1 },
      allow: [outcomes.success('setup-m6')],
    },
    async (context) => {
      const { controller, expect } = context;
      const link = writeAs(await controller.open(), controllers['ios']!);
      const setup = await controller.setup({ link, identity: controller.newGuest() });
      expect(await setup.sendM1(), 'M1').to.be.allowed({ allow: [outcomes.success('setup-m2')] });
      setup.answerM2();
      expect(await setup.sendM3(), 'M3').to.be.allowed({ allow: [outcomes.success('setup-m4')] });
      const outcome = await setup.sendM5();
      expect(outcome, 'M5').to.be.allowed();
      if (outcome.kind === 'reply') setup.readM6(outcome);
      await link.close();
      await verifies(context, controllers['ios']!);
    },
  ),

  check(
    'HTTP-12/read-of-all',
    'Requests as large as a hub’s are served',
    { from: 'paired', needs: ['PV-M3-01'], risky: true, costs: { verifies: 1 }, ...read },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const ids = idsOf(await session.characteristics(), 'pr');
      const outcome = await session.get(`/characteristics?id=${ids.join(',')}`);
      expect(outcome, `a read of ${ids.length} characteristics at once`).to.be.allowed();
      if (outcome.kind === 'reply')
        expect(entriesIn(outcome.http.body), 'entries of the answer').to.equal(ids.length);
    },
  ),
  check(
    'HTTP-12/long-uri',
    'Requests as large as a hub’s are served',
    { from: 'paired', needs: ['PV-M3-01'], risky: true, costs: { verifies: 2 }, ...read },
    async ({ controller, expect, notApplicable }) => {
      const session = await controller.session();
      const ids = idsOf(await session.characteristics(), 'pr');
      // What is no item of HAP fills the URI where there are few characteristics.
      const short = `/characteristics?id=${ids[0]}&x=`;
      const known = await session.get(`${short}x`);
      if (!read.allow.some((matcher) => matcher.matches(known)))
        notApplicable(`an unknown query item is refused: ${outcomes.describeOutcome(known)}`);
      const list = `/characteristics?id=${ids.join(',')}&x=`;
      const path = list.padEnd(LONG_URI, 'x');
      const open = (await session.link.stillOpen(50)) ? session : await controller.session();
      expect(await open.get(path), `GET with a URI of ${path.length} bytes`).to.be.allowed();
    },
  ),
  check(
    'HTTP-12/write-of-all',
    'Requests as large as a hub’s are served',
    {
      from: 'paired',
      needs: ['PV-M3-01'],
      risky: true,
      costs: { verifies: 1 },
      allow: [outcomes.answered(204), outcomes.answered(207)],
      tolerate: [outcomes.answered(200)],
    },
    async ({ controller, expect, notApplicable }) => {
      const session = await controller.session();
      const listened = notifying(await session.characteristics());
      if (listened.length === 0) return notApplicable('no characteristic notifies');
      for (const ev of [true, false]) {
        const characteristics = listened.map(({ aid, iid }) => ({ aid, iid, ev }));
        const body = hap.utf8(JSON.stringify({ characteristics }));
        expect(
          await session.request({ method: 'PUT', path: '/characteristics', headers: json, body }),
          `a write of ${listened.length} subscriptions at once`,
        ).to.be.allowed();
      }
    },
  ),
  check(
    'HTTP-12/head-and-body-in-frames-of-their-own',
    'Requests as large as a hub’s are served',
    {
      from: 'paired',
      needs: ['PV-M3-01', 'SESS-06/1024-and-537'],
      risky: true,
      costs: { verifies: 1 },
      allow: [outcomes.answered(204), outcomes.answered(207)],
      tolerate: [outcomes.answered(200)],
    },
    async ({ controller, expect, notApplicable }) => {
      const session = await controller.session();
      const listened = notifying(await session.characteristics());
      if (listened.length === 0) return notApplicable('no characteristic notifies');
      const characteristics = listened.map(({ aid, iid }) => ({ aid, iid, ev: false }));
      const body = hap.utf8(JSON.stringify({ characteristics }));
      const bytes = session.link.encode({ method: 'PUT', path: '/characteristics', headers: json, body });
      const at = bytes.length - body.length;
      const half = at + Math.ceil(body.length / 2);
      const frames = session.sealParts([
        bytes.subarray(0, at),
        bytes.subarray(at, half),
        bytes.subarray(half),
      ]);
      expect(
        await session.sendSegments(
          frames,
          FRAME_GAP,
          'PUT /characteristics: its head, and its body in two more frames',
        ),
      ).to.be.allowed();
    },
  ),
]);
