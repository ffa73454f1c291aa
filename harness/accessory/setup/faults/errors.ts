import { TlvError, TlvType, errorReply, tlv, utf8 } from '../../../protocol/index.js';
import type { Behaviour } from '../../behaviour.js';
import { type Fault, fault } from '../../faults/fault.js';
import { errorOf, fails, succeeds, withItem } from '../../faults/items.js';
import type { Reply } from '../../messages/reply.js';
import { silent } from './shared.js';

/** Replaces the State of error replies. */
function erring(state: (reply: Reply, now: number) => number): (ok: Behaviour) => Partial<Behaviour> {
  return (ok) => ({
    beforeSending(reply) {
      const items = ok.beforeSending(reply);
      const now = items.find(({ type }) => type === TlvType.State)?.value[0];
      return fails(reply) && now !== undefined
        ? withItem(items, tlv(TlvType.State, state(reply, now)))
        : items;
    },
  });
}

/** Refusals that become an HTTP status with an empty body. */
function refusedByHttp(
  which: (reply: Reply) => boolean,
  status: number,
): (ok: Behaviour) => Partial<Behaviour> {
  return (ok) => ({ status: (reply) => (which(reply) && fails(reply) ? status : ok.status(reply)) });
}

export const errors: readonly Fault[] = [
  fault(
    'm5-errors-say-state-4',
    {
      breaks: ['PS-ERR-02'],
      fieldBug: 33,
      story: 'the error reply of M5 copies the State of the one before',
    },
    erring((reply, now) => (reply.step === 'setup-m6' ? 4 : now)),
  ),
  fault(
    'errors-echo-state',
    { breaks: ['PS-ERR-02'], story: 'an error reply carries the State of the request' },
    erring((_reply, now) => now - 1),
  ),
  fault(
    'setup-errors-without-body',
    {
      breaks: ['PS-ERR-03'],
      story: 'whatever fails in Pair Setup becomes HTTP 400 in the layer above, which knows no TLV8',
    },
    (ok) => ({
      status: (reply) => (reply.step?.startsWith('setup') && fails(reply) ? 400 : ok.status(reply)),
    }),
  ),
  fault(
    'verify-errors-without-body',
    {
      breaks: ['PS-ERR-03', 'PV-M3-02'],
      fieldBug: 40,
      story: 'a refused Pair Verify is HTTP 400 with an empty body: phones call it unreachable',
    },
    (ok) => ({ status: (reply) => (reply.step === 'verify-m4' && fails(reply) ? 400 : ok.status(reply)) }),
  ),
  fault(
    'wrong-code-is-unknown',
    { breaks: ['PS-M3-04'], story: 'whatever goes wrong in SRP is Error=1' },
    () => ({ wrongProofError: () => TlvError.Unknown }),
  ),
  fault(
    'wrong-code-is-http-470',
    {
      breaks: ['PS-M3-04', 'PS-ERR-03'],
      story: 'a proof that does not match is a matter of authorization, and the HTTP layer answers it',
    },
    refusedByHttp((reply) => reply.step === 'setup-m4', 470),
  ),
  fault(
    'paired-is-unknown',
    { breaks: ['PS-M1-13'], story: 'Pair Setup of a paired accessory is refused by Error=1' },
    (ok) => ({
      refusesSetup(request) {
        const error = ok.refusesSetup(request);
        return error === TlvError.Unavailable ? TlvError.Unknown : error;
      },
    }),
  ),
  fault(
    'max-tries-is-unavailable',
    { breaks: ['PS-ERR-06'], story: 'a locked accessory says that it is paired' },
    (ok) => ({
      refusesSetup(request) {
        const error = ok.refusesSetup(request);
        return error === TlvError.MaxTries ? TlvError.Unavailable : error;
      },
    }),
  ),
  fault(
    'non-admin-is-http-470',
    {
      breaks: ['PS-ERR-03', 'PAIRINGS-15'],
      story: 'rights are asked for by the HTTP layer, which answers as without a session',
    },
    refusedByHttp(
      (reply) => (reply.step?.startsWith('pairings') ?? false) && errorOf(reply) === TlvError.Authentication,
      470,
    ),
  ),
  fault(
    'other-key-is-http-500',
    { breaks: ['PAIRINGS-06'], story: 'an Add that finds another key throws' },
    refusedByHttp((reply) => reply.step === 'pairings-add', 500),
  ),
  fault(
    'unknown-removal-is-an-error',
    {
      breaks: ['PAIRINGS-14'],
      story: 'Remove of an identifier that is not there returns what the lookup does',
    },
    (ok) => ({
      beforeSending: (reply) =>
        reply.step === 'pairings-remove' && reply.known === false && succeeds(reply)
          ? errorReply(2, TlvError.Unknown)
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'refusals-without-state',
    { breaks: ['PS-ERR-01'], story: 'a refusal is HTTP 400 and a TLV body with a text in it, and no State' },
    (ok) => ({
      status: (reply) => (fails(reply) ? 400 : ok.status(reply)),
      sendsBody: (reply, status) => status === 400 || ok.sendsBody(reply, status),
      beforeSending: (reply) =>
        reply.status === 400 || fails(reply) ? [tlv(0x7f, utf8('bad request'))] : ok.beforeSending(reply),
    }),
  ),
  fault(
    'broken-m5-unanswered',
    { breaks: ['PS-ERR-03'], story: 'an M5 that does not open ends the handler without an answer' },
    silent((reply) => reply.step === 'setup-m6' && fails(reply)),
  ),
  fault(
    'non-admin-unanswered',
    { breaks: ['PS-ERR-03'], story: 'what a plain user may not do is dropped without a word' },
    silent((reply) => (reply.step?.startsWith('pairings') ?? false) && fails(reply)),
  ),
  fault(
    'malformed-setup-unanswered',
    { breaks: ['PS-ERR-04'], story: 'a message the parser of Pair Setup does not take is dropped' },
    (ok) => ({
      answers: (reply) => !(reply.status === 400 && reply.endpoint === 'pair-setup') && ok.answers(reply),
    }),
  ),
  fault(
    'malformed-verify-unanswered',
    { breaks: ['PS-ERR-04'], story: 'a message the parser of Pair Verify does not take is dropped' },
    (ok) => ({
      answers: (reply) => !(reply.status === 400 && reply.endpoint === 'pair-verify') && ok.answers(reply),
    }),
  ),
  fault(
    'bare-m5-unanswered',
    { breaks: ['PS-ERR-04'], story: 'an M5 without EncryptedData is the start of one that never comes' },
    silent(
      ({ endpoint, request }) =>
        endpoint === 'pair-setup' && request.state === 5 && request.items.length === 1,
    ),
  ),
  fault(
    'bare-verify-unanswered',
    {
      breaks: ['PS-ERR-04'],
      story: 'a Pair Verify message of State alone is the start of one that never comes',
    },
    silent(({ endpoint, request }) => endpoint === 'pair-verify' && request.items.length === 1),
  ),
  fault(
    'pairings-without-method-unanswered',
    { breaks: ['PS-ERR-04'], story: 'a request to /pairings waits for its Method' },
    silent(({ endpoint, request }) => endpoint === 'pairings' && !request.has(TlvType.Method)),
  ),
  fault(
    'odd-pairings-requests-unanswered',
    {
      breaks: ['PS-ERR-04', 'TLV-14', 'PAIRINGS-17'],
      story: 'the switches over State and Method of /pairings have no default branch',
    },
    (ok) => ({
      answers: (reply) => !(reply.status === 400 && reply.endpoint === 'pairings') && ok.answers(reply),
    }),
  ),
];

export const limits: readonly Fault[] = [
  fault(
    'no-limit-on-guesses',
    { breaks: ['PS-ERR-06', 'PS-ERR-10'], fieldBug: 59, story: 'wrong proofs are not counted' },
    () => ({ countsFailure: (failedAttempts) => failedAttempts }),
  ),
  fault('limit-of-ten', { breaks: ['PS-ERR-06'], story: 'the limit of guesses lost a digit' }, (ok) => ({
    refusesSetup: (request) =>
      ok.refusesSetup(request) ?? (request.failedAttempts >= 10 ? TlvError.MaxTries : undefined),
  })),
  fault(
    'guesses-counted-per-connection',
    {
      breaks: ['PS-ERR-06', 'PS-ERR-08', 'PS-ERR-09', 'PS-ERR-10'],
      story: 'the counter of wrong proofs lives in the context of the connection',
    },
    (ok) => ({
      refusesSetup: (request) => ok.refusesSetup({ ...request, failedAttempts: request.failedHere }),
    }),
  ),
  fault(
    'malformed-m3-empties-counter',
    {
      breaks: ['PS-ERR-07'],
      story: 'an M3 that is refused as malformed resets the whole exchange, its counter too',
    },
    () => ({ afterMalformedM3: () => 0 }),
  ),
  fault(
    'right-code-refused-after-fifty',
    { breaks: ['PS-ERR-08'], story: 'the limit is asked again in M3, and there it is fifty' },
    (ok) => ({ proofMatches: (claim) => claim.failedAttempts < 50 && ok.proofMatches(claim) }),
  ),
  fault(
    'max-tries-unanswered',
    {
      breaks: ['PS-ERR-06', 'PS-ERR-08'],
      story: 'a locked accessory answers M1 no more, and nobody is told why',
    },
    silent((reply) => reply.step === 'setup-m2' && errorOf(reply) === TlvError.MaxTries),
  ),
];
