/**
 * HTTP around the messages of pairing: well-formed responses, spellings of headers, methods, paths, POST /identify.
 * The watch looks at every response of the run; the checks send requests that differ in spelling, method or path.
 * An accessory may refuse in many ways, and has to answer in all of them.
 */
import { chapter, hap, outcomes } from '../../harness/suite.js';
import {
  FIN_WAIT,
  hostHeader,
  lengthHeader,
  m1Body,
  m2,
  rawM1,
  requests,
  sendBytes,
  typeHeader,
} from './raw.js';

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
const omissions: Readonly<
  Record<string, readonly [headers: readonly string[], allow: readonly outcomes.Matcher[]]>
> = {
  'no-content-type': [
    [hostHeader, lengthHeader],
    [m2, outcomes.clientError()],
  ],
  'other-content-type': [
    [hostHeader, 'Content-Type: text/plain', lengthHeader],
    [m2, outcomes.clientError()],
  ],
  // RFC 9112 §3.2 demands 400.
  'no-host': [
    [typeHeader, lengthHeader],
    [m2, outcomes.clientError(), outcomes.closed()],
  ],
};

const methods = ['GET', 'PUT', 'DELETE', 'HEAD'] as const;
/** A path that is not there is refused; to serve it would be the mistake of another layer. */
const unknown = { allow: [outcomes.clientError()], tolerate: [outcomes.serverError()] };
const notImplemented: outcomes.Matcher = {
  words: 'HTTP 404 or 500: identify is not implemented',
  event: 'reply',
  matches: (outcome) => outcome.kind === 'reply' && [404, 500].includes(outcome.http.status),
};
const otherThan404: outcomes.Matcher = {
  words: 'HTTP 400 with {"status":-70401}, or another 4xx but 404',
  event: 'reply',
  matches: (outcome) => outcomes.clientError().matches(outcome) && !notImplemented.matches(outcome),
};
const refusesIdentify = { allow: [otherThan404], tolerate: [notImplemented], forbid: [outcomes.served()] };

/** What is wrong with the frame of an HTTP response, in words. */
function malformation(outcome: outcomes.Outcome): string | undefined {
  if (outcome.kind !== 'reply') return undefined;
  const { http } = outcome;
  if (http.version !== 'HTTP/1.1') return `a status line of "${http.startLine}"`;
  if (http.framing === 'until-close' && http.status >= 400)
    return `HTTP ${http.status} with neither Content-Length nor chunks`;
  return undefined;
}

export default chapter('http.messages', ({ check, watch }) => [
  watch(
    'HTTP-01/pairing-replies',
    'Responses are well-formed HTTP/1.1, one for each request',
    'pairing-reply',
    (reply, { expect, violate, warn }) => {
      const wrong = malformation(reply);
      if (wrong !== undefined) violate(wrong);
      const type = reply.http.headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? 'none';
      expect(type.split(';')[0]!.trim().toLowerCase(), 'Content-Type of a TLV body').to.equal(
        reply.profile.mediaType,
      );
      if (reply.http.framing === 'until-close') warn('a reply whose end is the end of the connection');
    },
  ),
  watch(
    'HTTP-01/every-message',
    'Responses are well-formed HTTP/1.1, one for each request',
    'message',
    (heard, { expect, violate, warn }) => {
      if ('unasked' in heard) return violate(heard.unasked);
      const { startLine, irregular = [] } = heard.message;
      const wrong = irregular.filter(({ untidy }) => !untidy).map(({ what }) => what);
      if (wrong.length > 0) violate(`${wrong.join('; ')} ("${startLine}")`);
      for (const { what } of irregular) warn(`${what} ("${startLine}")`);
      expect(wrong, 'what is no HTTP').to.deep.equal([]);
    },
  ),
  ...(['m2', 'refused-m1', 'unauthorised'] as const).map((what) =>
    check(
      `HTTP-01/${what}`,
      'Responses are well-formed HTTP/1.1, one for each request',
      what === 'm2'
        ? { from: 'unpaired', costs: { m2: 1 }, allow: [m2] }
        : { from: 'unpaired', allow: [outcomes.anyReply(), outcomes.closed()] },
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
      'Header names are case-insensitive, Host and Content-Type variations',
      { from: 'unpaired', risky: true, costs: { m2: 1 }, allow: [m2], forbid: [outcomes.anyRefusal()] },
      async (context) => {
        const link = await context.controller.open();
        context
          .expect(await sendBytes(context, link, `M1 with ${name}`, link.dress(rawM1(...headers))))
          .to.be.allowed();
      },
    ),
  ),
  ...Object.entries(omissions).map(([name, [headers, allow]]) =>
    check(
      `HTTP-02/${name}`,
      'Header names are case-insensitive, Host and Content-Type variations',
      { from: 'unpaired', risky: true, costs: { m2: 1 }, allow },
      async (context) => {
        const link = await context.controller.open();
        context
          .expect(await sendBytes(context, link, `M1 with ${name}`, link.dress(rawM1(...headers))))
          .to.be.allowed();
      },
    ),
  ),
  ...methods.flatMap((method) =>
    (['pair-setup', 'pair-verify'] as const).map((path) =>
      check(
        `HTTP-03/${method.toLowerCase()}-${path}`,
        'Wrong HTTP method on pairing paths',
        path === 'pair-setup'
          ? {
              from: 'unpaired',
              risky: true,
              costs: { m2: 1 },
              ...unknown,
              tolerate: [outcomes.serverError(), m2],
            }
          : {
              from: 'paired',
              keyless: true,
              risky: true,
              costs: { verifies: 1 },
              ...unknown,
              tolerate: [outcomes.serverError(), outcomes.success('verify-m2'), outcomes.success('setup-m2')],
            },
        async ({ controller, bench, expect }) => {
          const headers = [['Content-Type', controller.profile.mediaType]] as const;
          const verify = path === 'pair-verify' ? await controller.verify() : undefined;
          const body = verify === undefined ? m1Body : hap.encodeTlv(verify.machine.m1());
          for (const sent of [undefined, body]) {
            const link = await controller.open();
            const request = { method, path: `/${path}`, ...(sent && { headers, body: sent }) };
            const outcome = await controller.request(link, request);
            bench.tally.countM2(outcome);
            // HEAD is answered without a body, so that a 200 says it was carried out and no more.
            const carriedOut =
              method === 'HEAD' ? { tolerate: [outcomes.serverError(), outcomes.served()] } : {};
            expect(outcome).to.be.allowed(carriedOut.tolerate && { ...unknown, ...carriedOut });
          }
          // Nothing of it may have changed what an M1 in the right form is answered.
          if (verify !== undefined) {
            expect(await verify.sendM1(), 'M1 by POST').to.be.allowed({
              allow: [outcomes.success('verify-m2')],
            });
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
    'Wrong HTTP method on pairing paths',
    {
      from: 'paired',
      risky: true,
      costs: { verifies: 1 },
      allow: [outcomes.clientError()],
      tolerate: [outcomes.serverError(), outcomes.served()],
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
      'Unknown paths',
      {
        from: 'unpaired',
        risky: true,
        costs: { m2: 1 },
        allow: [
          outcomes.clientError(),
          ...(name === 'query' ? [m2] : []),
          ...(name === 'two-kilobytes' ? [outcomes.closed()] : []),
        ],
        tolerate: [outcomes.serverError()],
      },
      async ({ controller, bench, expect }) => {
        const setup = await controller.setup();
        const outcome = await setup.link.postBytes(path, m1Body, controller.judgedWait);
        bench.tally.countM2(outcome);
        expect(outcome).to.be.allowed();
        const processed = m2.matches(outcome);
        if (!processed && (await setup.link.stillOpen(FIN_WAIT)))
          expect(await setup.sendM1(), 'M1 on the same connection').to.be.allowed({ allow: [m2] });
      },
    ),
  ),
  check(
    'HTTP-04/in-a-session',
    'Unknown paths',
    {
      from: 'paired',
      risky: true,
      costs: { verifies: 1 },
      allow: [outcomes.answered(404)],
      tolerate: [outcomes.serverError()],
    },
    async ({ controller, expect }) => {
      const session = await controller.session();
      expect(await session.get('/nope')).to.be.allowed();
      if (await session.link.stillOpen(FIN_WAIT))
        expect(await session.get('/accessories'), 'the session goes on').to.be.allowed({
          allow: [outcomes.answered(200)],
        });
    },
  ),
  ...(['without-a-body', 'with-an-empty-body'] as const).map((form) =>
    check(
      `HTTP-06/unpaired-${form}`,
      'POST /identify',
      {
        from: 'unpaired',
        risky: true,
        allow: [outcomes.answered(204)],
        tolerate: [outcomes.answered(200), notImplemented],
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
  check(
    'HTTP-06/paired',
    'POST /identify',
    { from: 'paired', keyless: true, ...refusesIdentify },
    async (context) => {
      const { controller, expect } = context;
      const link = await controller.open();
      expect(await controller.request(link, { method: 'POST', path: '/identify' })).to.be.allowed();
    },
  ),
  check(
    'HTTP-06/paired-in-a-session',
    'POST /identify',
    { from: 'paired', costs: { verifies: 1 }, ...refusesIdentify },
    async ({ controller, expect }) => {
      const session = await controller.session();
      expect(await session.request({ method: 'POST', path: '/identify' })).to.be.allowed();
    },
  ),
]);
