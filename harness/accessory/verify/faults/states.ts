import { TlvError, counterNonce, text } from '../../../protocol/index.js';
import { deriveKey, open } from '../../crypto.js';
import { Halt } from '../../facts.js';
import { type Fault, fault } from '../../faults/fault.js';
import { takesM3Under, zeros } from './shared.js';

export const states: readonly Fault[] = [
  fault(
    'verify-m3-under-a-zero-key',
    {
      breaks: ['PV-STATE-01'],
      story: 'the key of the exchange is zero until M1, and M3 does not ask for M1',
    },
    takesM3Under(zeros),
  ),
  fault(
    'verify-m3-under-a-zero-secret',
    { breaks: ['PV-STATE-01'], story: 'the secret is zero until M1, and the key is derived from it in M3' },
    takesM3Under(deriveKey('Pair-Verify-Encrypt', zeros)),
  ),
  fault(
    'verify-m3-under-an-empty-secret',
    { breaks: ['PV-STATE-01'], story: 'the secret is empty until M1, and the key is derived from it in M3' },
    takesM3Under(deriveKey('Pair-Verify-Encrypt', new Uint8Array(0))),
  ),
  fault(
    'verify-m3-without-m1-stops-it',
    { breaks: ['PV-STATE-01'], fieldBug: 48, story: 'the key derivation dies of a secret that is not there' },
    (ok) => ({
      answers(reply) {
        if (reply.step === 'verify-m4' && reply.after === 'nothing') throw new Halt('no secret');
        return ok.answers(reply);
      },
    }),
  ),
  fault(
    'verify-m3-finds-any-exchange',
    {
      breaks: ['PV-STATE-01', 'PV-STATE-02', 'PV-STATE-08'],
      story: 'M3 is tried with every exchange there was, on whatever connection',
    },
    (ok) => ({
      exchangesShared: 16,
      exchangesForM3: (held) => [...ok.exchangesForM3(held), ...held.anywhere],
    }),
  ),
  fault(
    'pair-verify-stays-in-plaintext',
    { breaks: ['PV-STATE-02'], story: 'bytes that begin like a Pair Verify never go through the decryption' },
    () => ({ takesAsPlaintext: (bytes) => text(bytes.subarray(0, 17)) === 'POST /pair-verify' }),
  ),
  fault(
    'first-m1-stays',
    {
      breaks: ['PV-STATE-03', 'PV-STATE-08'],
      story: 'a second M1 is answered, and the keys of the first one stay',
    },
    () => ({ exchangesForM3: ({ here }) => here.slice(-1) }),
  ),
  fault(
    'verify-keys-of-the-connection-stay',
    {
      breaks: ['PV-STATE-03', 'PV-STATE-08'],
      story:
        'M1 adds a pair of keys to the connection, M3 is tried with all of them, and a refused one ends none',
    },
    () => ({ keepsVerifyAfterFailure: true, exchangesForM3: ({ here }) => here }),
  ),
  fault(
    'verify-locked-by-a-failure',
    { breaks: ['PV-STATE-04'], story: 'the state machine has no way out of its error state' },
    (ok) => ({
      refusesVerify: (request) => (request.failedHere ? TlvError.Unavailable : ok.refusesVerify(request)),
    }),
  ),
  fault(
    'verify-m3-out-of-turn-unanswered',
    { breaks: ['PV-STATE-01', 'PV-STATE-04'], story: 'the switch over the states has no default branch' },
    (ok) => ({
      answers: (reply) => !(reply.step === 'verify-m4' && reply.after === 'nothing') && ok.answers(reply),
    }),
  ),
  fault(
    'verify-context-is-global',
    { breaks: ['PV-STATE-05'], story: 'the exchange is one static variable for all connections' },
    () => ({ exchangesShared: 1, exchangesForM3: ({ anywhere }) => anywhere }),
  ),
  fault(
    'second-session-refused',
    { breaks: ['PV-STATE-05'], story: 'a controller that is connected cannot be another one of that name' },
    () => ({ secondSession: 'refused' }),
  ),
  fault(
    'verify-in-session-drops-encryption',
    { breaks: ['PV-STATE-06'], story: 'M1 resets the encryption of the connection, its rights stay' },
    () => ({ verifyInSession: 'in-plaintext' }),
  ),
  fault(
    'verify-in-session-changes-one-key',
    { breaks: ['PV-STATE-06'], story: 'the new keys reach the reader of the session, not its writer' },
    () => ({
      verifyInSession: 're-keys',
      rekeyed: ({ former, fresh }) => ({ ...fresh, toController: former.toController }),
    }),
  ),
  fault(
    'old-keys-open-frames',
    { breaks: ['PV-STATE-06'], story: 'frames under the keys before are let in, for requests on their way' },
    (ok) => ({
      verifyInSession: 're-keys',
      openFrame(frame) {
        const { former, header, sealed, counter } = frame;
        const plaintext =
          former && open(former.keys.toAccessory, counterNonce(former.counter), sealed, header);
        return plaintext === undefined ? ok.openFrame(frame) : { plaintext, next: counter };
      },
    }),
  ),
  fault(
    'refused-setup-blocks-verify',
    { breaks: ['PV-STATE-07'], story: 'a refused Pair Setup leaves the connection in Pair Setup' },
    (ok) => ({
      refusesVerify: (request) => (request.setupRefusedHere ? TlvError.Busy : ok.refusesVerify(request)),
    }),
  ),
  fault(
    'other-request-ends-verify',
    { breaks: ['PV-STATE-07'], story: 'the context is cleared at the end of each request but M1' },
    () => ({ endsVerifyOnOtherRequest: true }),
  ),
  fault(
    'setup-behind-verify-is-out-of-sequence',
    {
      breaks: ['PV-STATE-09'],
      fieldBug: 147,
      story: 'the state of a connection that has seen Pair Verify has no way to Pair Setup',
    },
    (ok) => ({
      refusesSetup: (request) =>
        request.sawVerify && !request.failedVerify ? TlvError.Unknown : ok.refusesSetup(request),
    }),
  ),
  fault(
    'setup-behind-verify-stops-it',
    {
      breaks: ['PV-STATE-09'],
      fieldBug: 47,
      story: 'the context of a Pair Verify that failed is taken for one of Pair Setup',
    },
    (ok) => ({
      refusesSetup(request) {
        if (request.failedVerify) throw new Halt('the wrong context');
        return ok.refusesSetup(request);
      },
    }),
  ),
  fault(
    'refused-verify-bars-setup',
    {
      breaks: ['PV-STATE-09'],
      fieldBug: 147,
      story: 'who was refused in Pair Verify is not authenticated, and Pair Setup asks for that first',
    },
    (ok) => ({
      refusesSetup: (request) => (request.failedVerify ? TlvError.Authentication : ok.refusesSetup(request)),
    }),
  ),
  fault(
    'strangers-verify-ends-all-verifies',
    {
      breaks: ['PV-STATE-09'],
      fieldBug: 148,
      story: 'behind a controller it does not know a connection is good for Pair Setup only',
    },
    (ok) => ({
      refusesVerify: (request) =>
        request.strangerHere ? TlvError.Authentication : ok.refusesVerify(request),
    }),
  ),
];
