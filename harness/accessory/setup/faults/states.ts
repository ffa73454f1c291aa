import { Length, TlvError, TlvType, tlv } from '../../../protocol/index.js';
import { type Fault, fault } from '../../faults/fault.js';
import { errorOf, fails, succeeds, withItem } from '../../faults/items.js';
import type { Reply } from '../../messages/reply.js';
import { silent } from './shared.js';

/** M3 or M5 where the exchange is over, or was never there. */
function outOfSequence(reply: Reply, step: 'setup-m4' | 'setup-m6'): boolean {
  return reply.step === step && reply.status === 400 && reply.after === 'nothing';
}

export const repeated: readonly Fault[] = [
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

export const contention: readonly Fault[] = [
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
      story:
        'whatever is wrong with an M1, also that another controller was first, is an authentication error',
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
