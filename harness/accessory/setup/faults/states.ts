import { Length, TlvError, TlvType, errorReply, tlv, utf8 } from '../../../protocol/index.js';
import type { Behaviour, Reply } from '../../behaviour.js';
import { type Fault, fault } from '../../faults/fault.js';
import { fails, succeeds, withItem } from '../../faults/items.js';

function silent(when: (reply: Reply) => boolean): (ok: Behaviour) => Partial<Behaviour> {
  return (ok) => ({ answers: (reply) => !when(reply) && ok.answers(reply) });
}

/** M3 or M5 where the exchange is over, or was never there. */
function outOfSequence(reply: Reply, step: 'setup-m4' | 'setup-m6'): boolean {
  return reply.step === step && reply.status === 400 && reply.after === 'nothing';
}

const repeated: readonly Fault[] = [
  fault(
    'proof-after-failure-unanswered',
    {
      breaks: ['PS-STATE-04'],
      story: 'after a wrong proof the handler of M3 is taken out and never put back',
    },
    (ok) => ({
      answers: (reply) =>
        !(outOfSequence(reply, 'setup-m4') && reply.request.get(TlvType.Proof)?.length === Length.proof) &&
        ok.answers(reply),
    }),
  ),
  fault(
    'repeated-m3-new-proof',
    { breaks: ['PS-STATE-06'], story: 'M3 is served again behind M4, with a session drawn anew' },
    (ok) => ({
      takesM3After: (progress) => progress !== 'nothing',
      beforeSending: (reply) =>
        reply.step === 'setup-m4' && reply.after === 'm4' && succeeds(reply)
          ? withItem(ok.beforeSending(reply), tlv(TlvType.Proof, reply.random.bytes(Length.proof)))
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'repeated-m3-stops-it',
    { breaks: ['PS-STATE-06'], story: 'the SRP context is freed behind M4, and used by a second M3' },
    (ok) => ({
      survives: (request) => ok.survives(request) && !(request.setup === 'm4' && request.message.state === 3),
    }),
  ),
  fault(
    'second-m1-sticks',
    {
      breaks: ['PS-STATE-07'],
      story: 'an exchange under way refuses every M1, those of its own connection too',
    },
    (ok) => ({
      refusesSetup: (request) => (request.after === 'nothing' ? ok.refusesSetup(request) : TlvError.Busy),
      keepsExchangeAfter: (event) => event === 'refused-m1' || ok.keepsExchangeAfter(event),
    }),
  ),
  fault(
    'first-b-kept',
    {
      breaks: ['PS-STATE-07'],
      story: 'a second M1 draws a new B and leaves the session of the first in place',
    },
    () => ({ secondM1Replaces: false }),
  ),
  fault(
    'm5-behind-a-new-m1',
    {
      breaks: ['PS-STATE-17'],
      story: 'M1 begins anew beside an exchange that has come to M4, and that one is still served its M5',
    },
    (ok) => ({
      servesOlder: (older) => (older.step === 'setup-m6' && older.sameConnection) || ok.servesOlder(older),
    }),
  ),
  fault(
    'm3-behind-a-new-m1',
    {
      breaks: ['PS-STATE-07', 'PS-STATE-17'],
      story: 'the last B of a connection are all kept, and a proof may be for any of them',
    },
    (ok) => ({
      servesOlder: (older) => (older.step === 'setup-m4' && older.sameConnection) || ok.servesOlder(older),
    }),
  ),
  fault(
    'exchanges-of-all-connections',
    {
      breaks: ['PS-STATE-13', 'PS-STATE-17'],
      story: 'M3 and M5 are looked up by what opens them among the exchanges of all connections',
    },
    () => ({ servesOlder: ({ sameConnection }) => !sameConnection }),
  ),
  fault(
    'same-b-behind-a-refused-m3',
    {
      breaks: ['PS-M1-04', 'PS-STATE-17'],
      story:
        'salt and b are drawn when a connection begins Pair Setup, and a refused M3 leaves them for the next M1',
    },
    (ok) => ({
      drawSalt: (random, refused) => refused ?? ok.drawSalt(random, undefined),
      drawExponent: (random, refused) => refused ?? ok.drawExponent(random, undefined),
    }),
  ),
  fault(
    'm1-after-m4-unanswered',
    { breaks: ['PS-STATE-07'], story: 'behind M4 only M5 has a handler' },
    silent((reply) => reply.step === 'setup-m2' && reply.after === 'm4'),
  ),
  fault(
    'second-m1-unanswered',
    { breaks: ['PS-STATE-07'], story: 'an M1 behind M2 is taken for a retransmission and dropped' },
    silent((reply) => reply.step === 'setup-m2' && reply.after === 'm2'),
  ),
];

const contention: readonly Fault[] = [
  fault(
    'second-m1-spoils-both',
    {
      breaks: ['PS-STATE-08', 'PS-STATE-15'],
      fieldBug: 49,
      story: 'the state is reset before it is asked whether a setup is in progress',
    },
    () => ({ foreignM1Disturbs: true }),
  ),
  fault(
    'busy-unanswered',
    { breaks: ['PS-STATE-08'], story: 'a second connection waits in line until the first one is done' },
    silent((reply) => reply.step === 'setup-m2' && fails(reply) && errorOf(reply) === TlvError.Busy),
  ),
  fault(
    'busy-by-another-code',
    {
      breaks: ['PS-STATE-08'],
      story: 'whatever is wrong with an M1, also that another controller was first, is an authentication error',
    },
    (ok) => ({
      refusesSetup: (request) =>
        ok.refusesSetup(request) === TlvError.Busy ? TlvError.Authentication : ok.refusesSetup(request),
    }),
  ),
  fault(
    'two-first-controllers',
    { breaks: ['PS-STATE-09'], fieldBug: 51, story: 'whether the accessory is paired is asked in M1 alone' },
    () => ({ setupContention: 'parallel', refusesLateM5: () => undefined }),
  ),
  fault(
    'late-m5-of-a-known-name',
    {
      breaks: ['PS-STATE-09'],
      story:
        'an M5 of somebody who is paired by now is taken for a retransmission, and its key for the one it has',
    },
    (ok) => ({
      setupContention: 'parallel',
      refusesLateM5: (late) => (late.known ? undefined : ok.refusesLateM5(late)),
    }),
  ),
  fault(
    'busy-for-ever',
    {
      breaks: ['PS-STATE-10', 'PS-STATE-14'],
      fieldBug: 55,
      story: 'the lock of Pair Setup is not released when its connection closes',
    },
    () => ({ freesSetupOnClose: () => false, setupPatience: Infinity }),
  ),
  fault(
    'setup-contexts-leak',
    {
      breaks: ['PS-STATE-10'],
      story: 'each Pair Setup takes one of eight contexts, and none is given back: from then on it is Busy',
    },
    (ok) => ({
      refusesSetup: (request) => ok.refusesSetup(request) ?? (request.begun >= 8 ? TlvError.Busy : undefined),
    }),
  ),
  fault(
    'setup-contexts-leak-unanswered',
    {
      breaks: ['SESS-26', 'PS-M1-04'],
      story: 'each Pair Setup takes one of four contexts, and an M1 that finds none is dropped',
    },
    (ok) => {
      let full = false;
      return {
        refusesSetup(request) {
          const error = ok.refusesSetup(request);
          full = request.begun >= 4 && error === undefined;
          return full ? TlvError.Unknown : error;
        },
        answers: (reply) => !(reply.step === 'setup-m2' && full) && ok.answers(reply),
      };
    },
  ),
  fault(
    'verify-contexts-leak',
    {
      breaks: ['SESS-26'],
      story: 'each Pair Verify takes one of sixteen contexts, and an M1 that finds none is an internal error',
    },
    (ok) => ({
      refusesVerify: (request) =>
        ok.refusesVerify(request) ?? (request.begun >= 16 ? TlvError.Unknown : undefined),
    }),
  ),
  fault(
    'busy-after-reset-connection',
    {
      breaks: ['PS-STATE-10', 'PS-STATE-14'],
      story: 'only an orderly end of a connection is reported to Pair Setup',
    },
    () => ({ freesSetupOnClose: ({ reset }) => !reset, setupPatience: Infinity }),
  ),
  fault(
    'busy-after-half-a-request',
    {
      breaks: ['PS-STATE-14'],
      story: 'a connection that ends inside a request is cleaned up elsewhere, without Pair Setup',
    },
    () => ({ freesSetupOnClose: ({ partial }) => !partial, setupPatience: Infinity }),
  ),
  fault(
    'busy-from-m4-on',
    {
      breaks: ['PS-STATE-10', 'PS-STATE-14'],
      story: 'behind M4 only the timer ends a setup, and the timer is not started',
    },
    () => ({
      freesSetupOnClose: ({ after }) => after !== 'm4',
      endsSetupWithM6: false,
      setupPatience: Infinity,
    }),
  ),
  fault(
    'silent-setup-wedges-it',
    {
      breaks: ['PS-STATE-11'],
      story: 'the timer of a silent setup frees its memory and leaves its state: every M1 fails from then on',
    },
    (ok) => ({
      refusesSetup: (request) => (request.abandoned ? TlvError.Unknown : ok.refusesSetup(request)),
      keepsExchangeAfter: (event) => event === 'refused-m1' || ok.keepsExchangeAfter(event),
    }),
  ),
  fault(
    'foreign-m3-unanswered',
    {
      breaks: ['PS-STATE-12'],
      story: 'an M3 is looked up by connection, and one that is not found is dropped',
    },
    silent(
      (reply) =>
        outOfSequence(reply, 'setup-m4') &&
        reply.request.get(TlvType.PublicKey)?.length === Length.srpPublicKey &&
        reply.request.get(TlvType.Proof)?.length === Length.proof,
    ),
  ),
  fault(
    'foreign-m5-unanswered',
    { breaks: ['PS-STATE-12'], story: 'an M5 of a connection without exchange waits for one' },
    silent(
      (reply) =>
        outOfSequence(reply, 'setup-m6') && (reply.request.joined(TlvType.EncryptedData)?.length ?? 0) > 100,
    ),
  ),
  fault(
    'static-server-secret',
    {
      breaks: ['PS-STATE-13', 'PS-STATE-17', 'PS-M1-04'],
      story: 'b and the salt come from a generator that is seeded alike each time',
    },
    () => ({
      drawSalt: () => new Uint8Array(Length.salt).fill(0x11),
      drawExponent: () => new Uint8Array(32).fill(0x22),
    }),
  ),
  fault(
    'verify-m1-in-setup-stops-it',
    { breaks: ['PS-STATE-16'], story: 'both procedures share one context, read as the wrong one' },
    (ok) => ({
      survives: (request) =>
        ok.survives(request) &&
        !(request.endpoint === 'pair-verify' && request.message.state === 1 && request.setup !== 'nothing'),
    }),
  ),
];

function errorOf({ items }: Reply): number | undefined {
  return items.find(({ type }) => type === TlvType.Error)?.value[0];
}

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

const errors: readonly Fault[] = [
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

const limits: readonly Fault[] = [
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

export const setupStateFaults: readonly Fault[] = [...repeated, ...contention, ...errors, ...limits];
