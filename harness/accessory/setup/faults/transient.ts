import { Length, PairingFlag, Permission, TlvType, text, tlv, toInteger } from '../../../protocol/index.js';
import type { Behaviour } from '../../behaviour.js';
import { splitKeys } from '../../crypto.js';
import { type Fault, fault } from '../../faults/fault.js';
import { succeeds, withoutItem } from '../../faults/items.js';
import type { Reply } from '../../messages/reply.js';

/** Some administrator: what an accessory takes a transient session for that never asks whose it is. */
const somebody = { id: new Uint8Array(36).fill(0x41), permissions: Permission.Admin };

function isSetupM2(reply: Reply): boolean {
  return reply.step === 'setup-m2' && succeeds(reply);
}

/** Serves what comes through a transient session as if somebody had verified. */
function servesTransient(paths: RegExp): (ok: Behaviour) => Partial<Behaviour> {
  return (ok) => ({
    transientStatus: (request) => (paths.test(request.path) ? undefined : ok.transientStatus(request)),
    servesAs: (request) => (request.transient && paths.test(request.path) ? somebody : ok.servesAs(request)),
    isAdmin: (pairing, requester, step) => requester === somebody || ok.isAdmin(pairing, requester, step),
  });
}

/** Mistakes in the transient and the split Pair Setup. */
export const transientFaults: readonly Fault[] = [
  fault(
    'flags-echoed-with-more',
    { breaks: ['TRANSIENT-01', 'SPLIT-01'], story: 'M2 tells all flags it knows, not those it grants' },
    (ok) => ({
      beforeSending: (reply) =>
        isSetupM2(reply) && reply.request.has(TlvType.Flags)
          ? [
              ...withoutItem(ok.beforeSending(reply), TlvType.Flags),
              tlv(TlvType.Flags, Uint8Array.of(0x11, 0, 0, 0x01)),
            ]
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'flags-big-endian',
    {
      breaks: ['TRANSIENT-02'],
      story: 'Flags are read in network order: one byte means transient, four bytes mean nothing',
    },
    (ok) => ({
      setupMode: ({ method, flags }) => ok.setupMode({ method, flags: flags?.toReversed() }),
    }),
  ),
  fault(
    'transient-m4-sealed',
    { breaks: ['TRANSIENT-02'], story: 'frames begin one message early: M4 is sealed with its own keys' },
    () => ({ sealsTransientM4: true }),
  ),
  fault(
    'transient-key-from-half-of-k',
    { breaks: ['TRANSIENT-02'], story: 'the buffer for the key material holds 32 bytes, and K has 64' },
    () => ({ transientKeys: (K) => splitKeys(K.subarray(0, Length.ltsk)) }),
  ),
  fault(
    'transient-keys-swapped',
    { breaks: ['TRANSIENT-02'], story: 'each side seals with the key that is named after the other' },
    (ok) => ({
      transientKeys(K) {
        const { toAccessory, toController } = ok.transientKeys(K);
        return { toAccessory: toController, toController: toAccessory };
      },
    }),
  ),
  fault(
    'transient-reads-everything',
    {
      breaks: ['TRANSIENT-03'],
      story: 'a connection in frames is a verified one: what it asks for is served, whoever it is',
    },
    servesTransient(/^\/(accessories|characteristics)/),
  ),
  fault(
    'transient-is-admin',
    {
      breaks: ['TRANSIENT-03'],
      story: 'the session of a transient setup has the permissions its memory was filled with',
    },
    servesTransient(/^\/pair/),
  ),
  fault(
    'transient-takes-any-proof',
    { breaks: ['TRANSIENT-04'], story: 'the proof is compared where a controller is to be stored' },
    (ok) => ({ proofMatches: (claim) => claim.mode.transient || ok.proofMatches(claim) }),
  ),
  fault(
    'transient-m5-taken-too',
    {
      breaks: ['TRANSIENT-05'],
      story: 'both modes are prepared behind M4, and the first bytes that come choose',
    },
    (ok) => ({
      keepsTransientExchange: true,
      takesAsPlaintext: (bytes) => isRequest(bytes, 'POST /pair-setup'),
      transientStatus: (request) =>
        request.path === '/pair-setup' ? undefined : ok.transientStatus(request),
    }),
  ),
  fault(
    'transient-plaintext-served',
    { breaks: ['TRANSIENT-05'], story: 'bytes that begin like a request are one, also where frames are due' },
    (ok) => ({
      ...servesTransient(/^\/accessories/)(ok),
      takesAsPlaintext: (bytes) => isRequest(bytes, 'GET '),
    }),
  ),
  fault(
    'transient-leaves-an-entry',
    {
      breaks: ['TRANSIENT-06'],
      story: 'the entry of the controller is made at M4, and M5, which would fill it, never comes',
    },
    () => ({ reservesEntryAtM4: ({ transient }) => transient }),
  ),
  fault(
    'transient-while-paired',
    {
      breaks: ['TRANSIENT-07'],
      story: 'a transient setup stores nothing, so nobody asks whether the accessory is paired',
    },
    (ok) => ({
      refusesSetup: (request) =>
        ok.refusesSetup({
          ...request,
          paired:
            request.paired &&
            (toInteger((request.message.get(TlvType.Flags) ?? new Uint8Array(0)).toReversed()) &
              BigInt(PairingFlag.Transient)) ===
              0n,
        }),
    }),
  ),
  fault(
    'flags-with-auth-unanswered',
    {
      breaks: ['TRANSIENT-08'],
      story: 'Flags beside PairSetupWithAuth wait for a coprocessor that nobody has asked',
    },
    (ok) => ({
      answers: (reply) =>
        !(
          reply.step === 'setup-m2' &&
          reply.request.has(TlvType.Flags) &&
          reply.request.get(TlvType.Method)?.[0] === 1
        ) && ok.answers(reply),
    }),
  ),
  fault(
    'split-draws-anew',
    { breaks: ['SPLIT-02'], story: 'every M1 makes a verifier, and the one that was kept is forgotten' },
    () => ({ reusesVerifier: () => false }),
  ),
  fault(
    'split-flags-not-granted',
    { breaks: ['SPLIT-02'], story: 'the flags of the second half are compared with those of the first' },
    (ok) => ({ echoedFlags: (mode) => (mode.transient ? ok.echoedFlags(mode) : undefined) }),
  ),
  fault(
    'split-without-verifier',
    {
      breaks: ['SPLIT-03'],
      story: 'no verifier was kept, the empty one in its place is compared with nothing',
    },
    (ok) => ({
      proofMatches: (claim) => (claim.mode.split && !claim.mode.transient) || ok.proofMatches(claim),
    }),
  ),
];

function isRequest(bytes: Uint8Array, start: string): boolean {
  return text(bytes.subarray(0, start.length)) === start;
}
