import {
  type Bytes,
  type CheckContext,
  type Link,
  type Matcher,
  type Outcome,
  Method,
  answered,
  anyRefusal,
  anyReply,
  chapter,
  clientError,
  closed,
  concat,
  describeOutcome,
  encodeTlv,
  served,
  serverError,
  setupM1,
  silence,
  success,
  tlvError,
  unauthorised,
  utf8,
} from '../../harness/suite.js';

const json: readonly [string, string][] = [['Content-Type', 'application/hap+json']];
const write = utf8('{"characteristics":[{"aid":1,"iid":9,"value":true}]}');

const requests = {
  'get-accessories': { method: 'GET', path: '/accessories' },
  'get-characteristics': { method: 'GET', path: '/characteristics?id=1.1' },
  'put-characteristics': { method: 'PUT', path: '/characteristics', headers: json, body: write },
  'put-prepare': { method: 'PUT', path: '/prepare', headers: json, body: utf8('{"ttl":1000,"pid":1}') },
  'post-resource': {
    method: 'POST',
    path: '/resource',
    headers: json,
    body: utf8('{"resource-type":"image","image-width":64,"image-height":64}'),
  },
};

const refused = { allow: [unauthorised()], tolerate: [serverError(), closed()], forbid: [served()] };

/** A FIN travels right behind the answer; this is long enough to see it on any network. */
const FIN_WAIT = 100;

const m2 = success('setup-m2');
const m1Body = encodeTlv(setupM1(Method.PairSetup));
const typeHeader = 'Content-Type: application/pairing+tlv8';
const lengthHeader = `Content-Length: ${m1Body.length}`;
const hostHeader = 'Host: accessory.local';

/** A start line and headers as they are, with the body behind them. */
function raw(startLine: string, headers: readonly string[], body: Bytes, lineEnd = '\r\n'): Bytes {
  return concat(utf8([startLine, ...headers, '', ''].join(lineEnd)), body);
}

function rawM1(...headers: readonly string[]): Bytes {
  return raw('POST /pair-setup HTTP/1.1', headers, m1Body);
}

/** Bytes that are or come near a Pair Setup M1, and what comes of them; the M2 is counted. */
async function sendBytes(
  { controller, bench, spec }: CheckContext,
  link: Link,
  words: string,
  ...segments: readonly Bytes[]
): Promise<Outcome> {
  link.said(words);
  for (const [i, segment] of segments.entries()) {
    if (i > 0) await bench.clock.sleep(GAP);
    link.send(segment);
  }
  // Nothing may come of some of them.
  const mayBeSilent = spec.allow?.some(({ event }) => event === 'silence') ?? false;
  const outcome = await link.outcome(mayBeSilent ? controller.quietWait : controller.judgedWait);
  bench.countM2(outcome);
  return outcome;
}

/** Milliseconds the stalled connections stay: the minute of the requirement is free in memory alone. */
const HOLD = { virtual: 60_000, real: 20_000 };
const ROUNDS = 3;

/** Milliseconds between two segments of one request: more than any stack waits before it looks at the first. */
const GAP = 500;

/** Spellings of the same headers (RFC 9110 §5.1), and what real controllers add to them. */
const spellings: Readonly<Record<string, readonly string[]>> = {
  'lower-case': [hostHeader, typeHeader, lengthHeader].map((line) =>
    line.replace(/^[^:]+/, (name) => name.toLowerCase()),
  ),
  'upper-case': [hostHeader, typeHeader, lengthHeader].map((line) =>
    line.replace(/^[^:]+/, (name) => name.toUpperCase()),
  ),
  'length-before-type': [hostHeader, lengthHeader, typeHeader],
  'extra-headers': [
    hostHeader,
    'User-Agent: hapspec',
    'Accept: */*',
    'Accept-Encoding: gzip, deflate',
    typeHeader,
    lengthHeader,
  ],
  'spaces-before-values': [hostHeader, typeHeader, lengthHeader].map((line) => line.replace(': ', ':    ')),
  'short-host': ['Host: a', typeHeader, lengthHeader],
};

/** Headers a server may refuse to do without. */
const omissions: Readonly<Record<string, readonly [headers: readonly string[], allow: readonly Matcher[]]>> =
  {
    'no-content-type': [
      [hostHeader, lengthHeader],
      [m2, clientError()],
    ],
    'other-content-type': [
      [hostHeader, 'Content-Type: text/plain', lengthHeader],
      [m2, clientError()],
    ],
    // RFC 9112 §3.2 demands 400.
    'no-host': [
      [typeHeader, lengthHeader],
      [m2, clientError(), closed()],
    ],
  };

const refusals = [tlvError(2), clientError(), closed()];
/** What else a length may come to: the accessory waits for bytes it was promised. */
const waits = silence();

interface Anomaly {
  readonly bytes: Bytes;
  readonly allow: readonly Matcher[];
  readonly tolerate?: readonly Matcher[];
  readonly forbid?: readonly Matcher[];
}

function lengths(...values: readonly string[]): Bytes {
  return rawM1(hostHeader, typeHeader, ...values.map((value) => `Content-Length: ${value}`));
}

const size = m1Body.length;
/** Requests whose length, or whose form, is not what a parser expects (RFC 9112 §6.3). */
const anomalies: Readonly<Record<string, Anomaly>> = {
  'length-twice': { bytes: lengths(`${size}`, `${size}`), allow: [m2, ...refusals] },
  'lengths-that-differ': {
    bytes: lengths(`${size}`, `${size + 1}`),
    allow: [...refusals, waits],
    forbid: [m2],
  },
  'negative-length': { bytes: lengths(`-${size}`), allow: [...refusals, waits] },
  'length-of-a-gigabyte': { bytes: lengths('999999999'), allow: [...refusals, waits] },
  // Without a length there is no body (RFC 9112 §6.3), but some take what is there.
  'no-length': { bytes: rawM1(hostHeader, typeHeader), allow: [...refusals, waits], tolerate: [m2] },
  chunked: {
    bytes: raw(
      'POST /pair-setup HTTP/1.1',
      [hostHeader, typeHeader, 'Transfer-Encoding: chunked'],
      concat(utf8(`${size.toString(16)}\r\n`), m1Body, utf8('\r\n0\r\n\r\n')),
    ),
    allow: [m2, ...refusals],
  },
  'expect-continue': {
    bytes: rawM1(hostHeader, typeHeader, 'Expect: 100-continue', lengthHeader),
    allow: [m2, ...refusals],
  },
  // Who looks for CR LF CR LF only goes on waiting for it.
  'line-feeds-only': {
    bytes: raw('POST /pair-setup HTTP/1.1', [hostHeader, typeHeader, lengthHeader], m1Body, '\n'),
    allow: [m2, ...refusals, waits],
  },
  'header-of-20-kilobytes': {
    bytes: rawM1(hostHeader, typeHeader, `X-Long: ${'x'.repeat(20 * 1024)}`, lengthHeader),
    allow: [m2, ...refusals, waits],
  },
  'garbage-first-line': {
    bytes: raw('\u0001\u0002 hapspec ~~~', [hostHeader, typeHeader, lengthHeader], m1Body),
    allow: [...refusals, waits],
  },
};

const methods = ['GET', 'PUT', 'DELETE', 'HEAD'] as const;
/** A path that is not there is refused; to serve it would be the mistake of another layer. */
const unknown = { allow: [clientError()], tolerate: [serverError()] };
const notImplemented: Matcher = {
  words: 'HTTP 404 or 500: identify is not implemented',
  event: 'reply',
  matches: (outcome) => outcome.kind === 'reply' && [404, 500].includes(outcome.http.status),
};
const otherThan404: Matcher = {
  words: 'HTTP 400 with {"status":-70401}, or another 4xx but 404',
  event: 'reply',
  matches: (outcome) => clientError().matches(outcome) && !notImplemented.matches(outcome),
};
const refusesIdentify = { allow: [otherThan404], tolerate: [notImplemented], forbid: [served()] };

/** What is wrong with the frame of an HTTP response, in words. */
function malformation(outcome: Outcome): string | undefined {
  if (outcome.kind !== 'reply') return undefined;
  const { http } = outcome;
  if (http.version !== 'HTTP/1.1') return `a status line of "${http.startLine}"`;
  if (http.framing === 'until-close' && http.status >= 400)
    return `HTTP ${http.status} with neither Content-Length nor chunks`;
  return undefined;
}

export default chapter('http.messages', ({ check, watch }) => [
  watch('HTTP-01/pairing-replies', 'pairing-reply', (reply, { expect, violate, warn }) => {
    const wrong = malformation(reply);
    if (wrong !== undefined) violate(wrong);
    const type = reply.http.headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? 'none';
    expect(type.split(';')[0]!.trim().toLowerCase(), 'Content-Type of a TLV body').to.equal(
      reply.profile.mediaType,
    );
    if (reply.http.framing === 'until-close') warn('a reply whose end is the end of the connection');
  }),
  watch('HTTP-01/every-message', 'message', (heard, { expect, violate, warn }) => {
    if ('unasked' in heard) return violate(heard.unasked);
    const { startLine, irregular = [] } = heard.message;
    const wrong = irregular.filter(({ untidy }) => !untidy).map(({ what }) => what);
    if (wrong.length > 0) violate(`${wrong.join('; ')} ("${startLine}")`);
    for (const { what } of irregular) warn(`${what} ("${startLine}")`);
    expect(wrong, 'what is no HTTP').to.deep.equal([]);
  }),
  ...(['m2', 'refused-m1', 'unauthorised'] as const).map((what) =>
    check(
      `HTTP-01/${what}`,
      what === 'm2'
        ? { from: 'unpaired', costs: { m2: 1 }, allow: [m2] }
        : { from: 'unpaired', allow: [anyReply(), closed()] },
      async ({ controller, expect, violate, warn }) => {
        const setup = await controller.setup();
        const outcome =
          what === 'm2'
            ? await setup.sendM1()
            : what === 'refused-m1'
              ? await setup.sendM1(() => [])
              : await controller.request(setup.link, requests['get-accessories']);
        expect(outcome).to.be.allowed();
        const wrong = malformation(outcome);
        if (wrong !== undefined) violate(wrong);
        if (outcome.kind === 'reply' && outcome.http.framing === 'until-close')
          warn('a reply whose end is the end of the connection');
        const behind = await setup.link.excess(FIN_WAIT);
        if (behind.length > 0) violate(`${behind.length} bytes behind the end of a response`);
      },
    ),
  ),

  ...Object.entries(spellings).map(([name, headers]) =>
    check(
      `HTTP-02/${name}`,
      { from: 'unpaired', risky: true, costs: { m2: 1 }, allow: [m2], forbid: [anyRefusal()] },
      async (context) => {
        const link = await context.controller.open();
        context
          .expect(await sendBytes(context, link, `M1 with ${name}`, link.dress(rawM1(...headers))))
          .to.be.allowed();
      },
    ),
  ),
  ...Object.entries(omissions).map(([name, [headers, allow]]) =>
    check(`HTTP-02/${name}`, { from: 'unpaired', risky: true, costs: { m2: 1 }, allow }, async (context) => {
      const link = await context.controller.open();
      context
        .expect(await sendBytes(context, link, `M1 with ${name}`, link.dress(rawM1(...headers))))
        .to.be.allowed();
    }),
  ),

  ...methods.flatMap((method) =>
    (['pair-setup', 'pair-verify'] as const).map((path) =>
      check(
        `HTTP-03/${method.toLowerCase()}-${path}`,
        path === 'pair-setup'
          ? { from: 'unpaired', risky: true, costs: { m2: 1 }, ...unknown, tolerate: [serverError(), m2] }
          : {
              from: 'paired',
              keyless: true,
              risky: true,
              costs: { verifies: 1 },
              ...unknown,
              tolerate: [serverError(), success('verify-m2'), success('setup-m2')],
            },
        async ({ controller, bench, expect }) => {
          const headers = [['Content-Type', controller.profile.mediaType]] as const;
          const verify = path === 'pair-verify' ? await controller.verify() : undefined;
          const body = verify === undefined ? m1Body : encodeTlv(verify.machine.m1());
          for (const sent of [undefined, body]) {
            const link = await controller.open();
            const request = { method, path: `/${path}`, ...(sent && { headers, body: sent }) };
            const outcome = await controller.request(link, request);
            bench.countM2(outcome);
            // HEAD is answered without a body, so that a 200 says it was carried out and no more.
            const carriedOut = method === 'HEAD' ? { tolerate: [serverError(), served()] } : {};
            expect(outcome).to.be.allowed(carriedOut.tolerate && { ...unknown, ...carriedOut });
          }
          // Nothing of it may have changed what an M1 in the right form is answered.
          if (verify !== undefined) {
            expect(await verify.sendM1(), 'M1 by POST').to.be.allowed({ allow: [success('verify-m2')] });
            return;
          }
          await bench.closeLinks();
          const setup = await controller.setup();
          expect(await setup.sendM1(), 'M1 by POST').to.be.allowed({ allow: [m2] });
        },
      ),
    ),
  ),
  check(
    'HTTP-03/get-pairings',
    {
      from: 'paired',
      risky: true,
      costs: { verifies: 1 },
      allow: [clientError()],
      tolerate: [serverError(), served()],
    },
    async ({ controller, expect }) => {
      const session = await controller.session();
      expect(await session.get('/pairings')).to.be.allowed();
    },
  ),

  ...(
    [
      ['trailing-slash', '/pair-setup/'],
      ['query', '/pair-setup?x=1'],
      ['other-case', '/Pair-Setup'],
      ['nowhere', '/nope'],
      ['two-kilobytes', `/${'a'.repeat(2048)}`],
    ] as const
  ).map(([name, path]) =>
    check(
      `HTTP-04/${name}`,
      {
        from: 'unpaired',
        risky: true,
        costs: { m2: 1 },
        allow: [
          clientError(),
          ...(name === 'query' ? [m2] : []),
          ...(name === 'two-kilobytes' ? [closed()] : []),
        ],
        tolerate: [serverError()],
      },
      async ({ controller, bench, expect }) => {
        const setup = await controller.setup();
        const outcome = await setup.link.postBytes(path, m1Body, controller.judgedWait);
        bench.countM2(outcome);
        expect(outcome).to.be.allowed();
        const processed = m2.matches(outcome);
        if (!processed && (await setup.link.stillOpen(FIN_WAIT)))
          expect(await setup.sendM1(), 'M1 on the same connection').to.be.allowed({ allow: [m2] });
      },
    ),
  ),
  check(
    'HTTP-04/in-a-session',
    {
      from: 'paired',
      risky: true,
      costs: { verifies: 1 },
      allow: [answered(404)],
      tolerate: [serverError()],
    },
    async ({ controller, expect }) => {
      const session = await controller.session();
      expect(await session.get('/nope')).to.be.allowed();
      if (await session.link.stillOpen(FIN_WAIT))
        expect(await session.get('/accessories'), 'the session goes on').to.be.allowed({
          allow: [answered(200)],
        });
    },
  ),

  ...(['without-a-body', 'with-an-empty-body'] as const).map((form) =>
    check(
      `HTTP-06/unpaired-${form}`,
      {
        from: 'unpaired',
        risky: true,
        allow: [answered(204)],
        tolerate: [answered(200), notImplemented],
      },
      async ({ controller, expect }) => {
        const body = form === 'with-an-empty-body' ? { body: new Uint8Array(0) } : {};
        const link = await controller.open();
        expect(
          await controller.request(link, { method: 'POST', path: '/identify', ...body }),
        ).to.be.allowed();
      },
    ),
  ),
  check('HTTP-06/paired', { from: 'paired', keyless: true, ...refusesIdentify }, async (context) => {
    const { controller, expect } = context;
    const link = await controller.open();
    expect(await controller.request(link, { method: 'POST', path: '/identify' })).to.be.allowed();
  }),
  check(
    'HTTP-06/paired-in-a-session',
    { from: 'paired', costs: { verifies: 1 }, ...refusesIdentify },
    async ({ controller, expect }) => {
      const session = await controller.session();
      expect(await session.request({ method: 'POST', path: '/identify' })).to.be.allowed();
    },
  ),

  check(
    'HTTP-07/headers-and-body',
    { from: 'unpaired', risky: true, costs: { m2: 1 }, allow: [m2], forbid: [anyRefusal()] },
    async (context) => {
      const link = await context.controller.open();
      const bytes = link.dress(rawM1(hostHeader, typeHeader, lengthHeader));
      const at = bytes.length - m1Body.length;
      const words = 'M1, its body in a second segment';
      context
        .expect(await sendBytes(context, link, words, bytes.subarray(0, at), bytes.subarray(at)))
        .to.be.allowed();
    },
  ),
  check(
    'HTTP-07/every-byte-alone',
    { from: 'unpaired', risky: true, costs: { m2: 1 }, allow: [m2], tolerate: [anyRefusal()] },
    async ({ controller, bench, expect }) => {
      const link = await controller.open();
      link.said('M1, every byte in a segment of its own');
      for (const byte of link.dress(rawM1(hostHeader, typeHeader, lengthHeader))) {
        link.send(Uint8Array.of(byte));
        await bench.clock.sleep(1);
      }
      const outcome = await link.outcome(controller.judgedWait);
      bench.countM2(outcome);
      expect(outcome).to.be.allowed();
    },
  ),
  check(
    'HTTP-07/m3-inside-an-item',
    {
      from: 'unpaired',
      risky: true,
      needs: ['PS-M3-01'],
      costs: { m2: 1, m4: 1 },
      allow: [success('setup-m4')],
    },
    async ({ controller, bench, expect }) => {
      const setup = await controller.pairSetup();
      const body = encodeTlv(setup.machine.m3());
      const headers = [['Content-Type', controller.profile.mediaType]] as const;
      const bytes = setup.link.encode({ method: 'POST', path: '/pair-setup', headers, body });
      const at = bytes.length - 100;
      setup.link.said('M3, cut inside an item');
      setup.link.send(bytes.subarray(0, at));
      await bench.clock.sleep(GAP);
      setup.link.send(bytes.subarray(at));
      bench.spent.m4++;
      const outcome = await setup.link.outcome(controller.judgedWait);
      if (!success('setup-m4').matches(outcome)) bench.spendAttempt();
      expect(outcome).to.be.allowed();
    },
  ),
  check(
    'HTTP-07/cut-anywhere',
    {
      from: 'paired',
      keyless: true,
      risky: true,
      costs: { verifies: 6 },
      allow: [success('verify-m2')],
    },
    async ({ controller, bench, expect, random }) => {
      for (let i = 0; i < 6; i++) {
        const verify = await controller.verify();
        const { link } = verify;
        const headers = [['Content-Type', controller.profile.mediaType]] as const;
        const body = encodeTlv(verify.machine.m1());
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

  check('HTTP-08', { from: 'unpaired', risky: true, costs: { m2: 1 }, allow: [m2] }, async (context) => {
    const { controller, expect } = context;
    const link = await controller.open();
    const second = raw('GET /nope HTTP/1.1', [hostHeader], new Uint8Array(0));
    const bytes = concat(link.dress(rawM1(hostHeader, typeHeader, lengthHeader)), link.dress(second));
    const first = await sendBytes(context, link, 'M1 and GET /nope in one segment', bytes);
    expect(first).to.be.allowed();
    const outcome = await link.outcome(controller.judgedWait);
    expect(outcome, 'the second request').to.be.allowed({
      allow: [clientError(), closed()],
      tolerate: [serverError()],
    });
  }),

  ...Object.entries(anomalies).map(([name, { bytes, ...alternatives }]) =>
    check(
      `HTTP-09/${name}`,
      {
        from: 'unpaired',
        risky: true,
        costs: { m2: ['length-twice', 'chunked', 'expect-continue'].includes(name) ? 1 : 0 },
        ...alternatives,
        tolerate: [...(alternatives.tolerate ?? []), serverError()],
      },
      async (context) => {
        const { controller, expect } = context;
        const link = await controller.open();
        expect(await sendBytes(context, link, `M1 with ${name}`, link.dress(bytes))).to.be.allowed();
        const other = await controller.request(await controller.open(), requests['get-accessories']);
        if (other.kind !== 'reply')
          context.violate(`another connection is not served meanwhile: ${describeOutcome(other)}`);
      },
    ),
  ),
  ...Object.entries(requests).map(([name, request]) =>
    check(
      `HTTP-05/${name}`,
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
    { from: 'unpaired', ...refused },
    async ({ controller, expect }) => {
      expect(await controller.request(await controller.open(), requests['get-accessories'])).to.be.allowed();
    },
  ),
  ...(['after-verify-m2', 'after-a-failed-verify'] as const).map((moment) =>
    check(
      `HTTP-05/get-accessories-${moment}`,
      { from: 'paired', keyless: true, costs: { verifies: 1 }, ...refused },
      async ({ controller, expect }) => {
        const verify = await controller.pairVerify({ as: controller.newIdentity() });
        if (moment === 'after-a-failed-verify') await verify.sendM3();
        expect(await controller.request(verify.link, requests['get-accessories'])).to.be.allowed();
      },
    ),
  ),

  check(
    'HTTP-10',
    { from: 'unpaired', leaves: 'paired', costs: { m2: 1, m4: 1, m6: 1 }, allow: [success('setup-m6')] },
    async ({ controller, expect, violate }) => {
      const setup = await controller.pairSetup();
      if (!(await setup.link.stillOpen(FIN_WAIT))) violate('the accessory closed the connection after M2');
      await setup.m3();
      if (!(await setup.link.stillOpen(FIN_WAIT))) violate('the accessory closed the connection after M4');
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
      { from: 'unpaired', risky: true, costs: { m2: 1 }, allow: [m2] },
      async (context) => {
        const link = await context.controller.open();
        const headers = [hostHeader, typeHeader, lengthHeader, ...extra];
        const bytes = link.dress(raw(`POST /pair-setup ${version}`, headers, m1Body));
        context.expect(await sendBytes(context, link, `M1, ${name}`, bytes)).to.be.allowed();
      },
    ),
  ),

  // The four ways to keep a socket busy, each of which has locked a device of eight sockets.
  check(
    'SEC-10',
    {
      from: 'paired',
      keyless: true,
      risky: true,
      costs: { verifies: 5, seconds: 20 },
      allow: [success('verify-m2')],
    },
    async ({ controller, bench, expect }) => {
      const stalled = ['', 'POST /pair-ver', `POST /pair-verify HTTP/1.1\r\n${lengthHeader}\r\n\r\n`];
      for (const bytes of [...stalled.map(utf8), rawM1(hostHeader, typeHeader, lengthHeader).slice(0, -3)]) {
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
]);
