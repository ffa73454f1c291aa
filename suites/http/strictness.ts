/**
 * What a strict client makes of an answer: whether it may ask on, in what coding the body is, and whether all of a read
 * was granted. The watches look at every answer of the run.
 */
import { chapter, hap, header, outcomes } from '../../harness/suite.js';

const title = 'Answers are what a strict client takes them for';

/** The answer tells the client to close (RFC 9112 §9.6). */
function saysClose(message: Parameters<typeof header>[0]): boolean {
  return /(^|,)\s*close\s*(,|$)/i.test(header(message, 'Connection') ?? '');
}

/** A pairing reply behind which the procedure goes on over the same connection. */
function goesOn({ tlv }: outcomes.Reply): boolean {
  if (tlv === undefined || tlv.has(hap.TlvType.Error)) return false;
  return (
    tlv.state === 4 ||
    (tlv.state === 2 && tlv.has(hap.TlvType.PublicKey) && !tlv.has(hap.TlvType.Permissions))
  );
}

/** An iid that no accessory has: they count from 1. */
const NOWHERE = 2 ** 29;

/** The `status` of each entry in the answer to a read; undefined where an entry has none. */
function statusesIn(body: hap.Bytes): readonly (number | undefined)[] | undefined {
  try {
    const { characteristics } = JSON.parse(hap.text(body)) as { characteristics: { status?: number }[] };
    return characteristics.map(({ status }) => status);
  } catch {
    return undefined;
  }
}

export default chapter('http.strictness', ({ check, watch }) => [
  watch('HTTP-13/goes-on', title, 'pairing-reply', (reply, { expect }) => {
    // To HTTP/1.0, or where the request asks for it, a close is right.
    if (!goesOn(reply) || reply.raw === true) return;
    expect(
      saysClose(reply.http),
      'Connection: close in an answer behind which the procedure goes on',
    ).to.equal(false);
  }),
  watch('HTTP-13/coding', title, 'message', (heard, { expect }) => {
    if ('unasked' in heard) return;
    const coding = (header(heard.message, 'Content-Encoding') ?? 'identity').trim().toLowerCase();
    expect(coding, 'Content-Encoding nobody asked for').to.equal('identity');
  }),
  check(
    'HTTP-13/session',
    title,
    { from: 'paired', needs: ['PV-M3-01'], costs: { verifies: 1 }, allow: [outcomes.answered(200)] },
    async ({ controller, expect, violate }) => {
      const session = await controller.session();
      const outcome = await session.get(controller.profile.resource);
      expect(outcome).to.be.allowed();
      if (outcome.kind === 'reply' && saysClose(outcome.http))
        violate('Connection: close in the answer to a read: a strict client ends the session there');
    },
  ),
  check(
    'HTTP-13/part-of-a-read',
    title,
    {
      from: 'paired',
      needs: ['PV-M3-01'],
      risky: true,
      costs: { verifies: 1 },
      allow: [outcomes.answered(207), outcomes.clientError()],
      tolerate: [outcomes.answered(200), outcomes.serverError()],
    },
    async ({ controller, expect, notApplicable, violate }) => {
      const session = await controller.session();
      const readable = (await session.characteristics()).find(({ perms }) => perms.includes('pr'));
      if (readable === undefined) return notApplicable('there is nothing to read');
      const outcome = await session.get(
        `/characteristics?id=${readable.aid}.${readable.iid},${readable.aid}.${NOWHERE}`,
      );
      expect(outcome, 'a read of one characteristic that is there, and of one that is not').to.be.allowed();
      if (outcome.kind !== 'reply' || outcome.http.status >= 400) return;
      const statuses = statusesIn(outcome.http.body);
      if (statuses === undefined)
        return violate(`HTTP ${outcome.http.status} without a list of characteristics`);
      if (outcome.http.status === 200 && statuses.some((status) => status !== undefined && status !== 0))
        violate('HTTP 200 with an entry that was refused: HTTP 207 says that (HAP R2 §6.7)');
      if (outcome.http.status === 207 && statuses.includes(undefined))
        violate('HTTP 207 with an entry without status');
    },
  ),
]);
