import { type CheckContext, type Link, hap, outcomes } from '../../harness/suite.js';

const json: readonly [string, string][] = [['Content-Type', 'application/hap+json']];
const write = hap.utf8('{"characteristics":[{"aid":1,"iid":9,"value":true}]}');

export const requests = {
  'get-accessories': { method: 'GET', path: '/accessories' },
  'get-characteristics': { method: 'GET', path: '/characteristics?id=1.1' },
  'put-characteristics': { method: 'PUT', path: '/characteristics', headers: json, body: write },
  'put-prepare': { method: 'PUT', path: '/prepare', headers: json, body: hap.utf8('{"ttl":1000,"pid":1}') },
  'post-resource': {
    method: 'POST',
    path: '/resource',
    headers: json,
    body: hap.utf8('{"resource-type":"image","image-width":64,"image-height":64}'),
  },
};

/** A FIN travels right behind the answer; this is long enough to see it on any network. */
export const FIN_WAIT = 100;

export const m2 = outcomes.success('setup-m2');
export const m1Body = hap.encodeTlv(hap.setupM1(hap.Method.PairSetup));
export const typeHeader = 'Content-Type: application/pairing+tlv8';
export const lengthHeader = `Content-Length: ${m1Body.length}`;
export const hostHeader = 'Host: accessory.local';

/** A start line and headers as they are, with the body behind them. */
export function raw(
  startLine: string,
  headers: readonly string[],
  body: hap.Bytes,
  lineEnd = '\r\n',
): hap.Bytes {
  return hap.concat(hap.utf8([startLine, ...headers, '', ''].join(lineEnd)), body);
}

export function rawM1(...headers: readonly string[]): hap.Bytes {
  return raw('POST /pair-setup HTTP/1.1', headers, m1Body);
}

/** Bytes that are or come near a Pair Setup M1, and what comes of them; the M2 is counted. */
export async function sendBytes(
  { controller, bench, spec }: CheckContext,
  link: Link,
  words: string,
  ...segments: readonly hap.Bytes[]
): Promise<outcomes.Outcome> {
  link.said(words);
  for (const [i, segment] of segments.entries()) {
    if (i > 0) await bench.clock.sleep(GAP);
    link.send(segment);
  }
  // Nothing may come of some of them.
  const mayBeSilent = spec.allow?.some(({ event }) => event === 'silence') ?? false;
  const outcome = await link.outcome(mayBeSilent ? controller.quietWait : controller.judgedWait);
  bench.tally.countM2(outcome);
  return outcome;
}

/** Milliseconds between two segments of one request: more than any stack waits before it looks at the first. */
export const GAP = 500;
