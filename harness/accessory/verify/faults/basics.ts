import { Length, TlvType, signedInfo, text, tlv, utf8 } from '../../../protocol/index.js';
import { sha512 } from '../../crypto.js';
import { type Fault, fault } from '../../faults/fault.js';
import { succeeds, withItem } from '../../faults/items.js';
import { zeros } from './shared.js';

export const core: readonly Fault[] = [
  fault(
    'verify-m1-unanswered',
    { breaks: ['PV-M1-01'], story: 'the handler of Pair Verify M1 never returns' },
    (ok) => ({
      answers: (reply) => reply.step !== 'verify-m2' && ok.answers(reply),
    }),
  ),
  fault(
    'verify-key-31-bytes',
    { breaks: ['PV-M1-01'], story: 'the ephemeral key loses its last byte on the way out' },
    (ok) => ({
      beforeSending: (reply) =>
        reply.step === 'verify-m2'
          ? ok
              .beforeSending(reply)
              .map((item) =>
                item.type === TlvType.PublicKey
                  ? tlv(item.type, item.value.subarray(0, Length.curveKey - 1))
                  : item,
              )
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'verify-signs-other-order',
    { breaks: ['PV-M2-01'], story: 'the controller’s ephemeral key is signed before our own' },
    (ok) => ({
      signedInfo: (parts) =>
        parts.step === 'verify-m2' ? signedInfo(parts.last, parts.id, parts.first) : ok.signedInfo(parts),
    }),
  ),
  fault(
    'verify-signs-with-new-key',
    { breaks: ['PV-M2-01'], fieldBug: 102, story: 'the key pair is made anew where it should be loaded' },
    (ok) => ({
      signingKey: (step, ltsk, random) =>
        step === 'verify-m2' ? random.bytes(Length.ltsk) : ok.signingKey(step, ltsk, random),
    }),
  ),
  fault(
    'verify-sends-other-id',
    {
      breaks: ['PV-M2-01'],
      story: 'Pair Verify writes the accessory id in lower case, Pair Setup in upper case',
    },
    (ok) => ({
      ownIdentifier: (step, id) =>
        step === 'verify-m2' ? utf8(text(id).toLowerCase()) : ok.ownIdentifier(step, id),
    }),
  ),
  fault(
    'verify-m4-sealed',
    { breaks: ['PV-M3-01'], fieldBug: 80, story: 'encryption is switched on before M4 is written' },
    () => ({ sealsVerifyM4: () => true }),
  ),
  fault(
    'verify-m4-sealed-now-and-then',
    {
      breaks: ['PV-M3-01'],
      fieldBug: 80,
      story: 'one task writes M4 and another switches encryption on: once in a while the wrong one is first',
    },
    (ok) => {
      let sessions = 0;
      return {
        sessionKeys(shared) {
          sessions++;
          return ok.sessionKeys(shared);
        },
        sealsVerifyM4: () => sessions === 19,
      };
    },
  ),
  fault(
    'request-right-behind-m4-lost',
    {
      breaks: ['PV-M3-01'],
      story:
        'what comes before the session is registered finds none: once in a while the first request is dropped',
    },
    (ok) => {
      let sessions = 0;
      let first = false;
      return {
        sessionKeys(shared) {
          first = ++sessions === 19;
          return ok.sessionKeys(shared);
        },
        admits(request) {
          const lost = first;
          first = false;
          return lost ? 'silence' : ok.admits(request);
        },
      };
    },
  ),
  fault(
    'verify-m3-unanswered',
    { breaks: ['PV-M3-01'], story: 'the handler of Pair Verify M3 never returns' },
    (ok) => ({
      answers: (reply) => reply.step !== 'verify-m4' && ok.answers(reply),
    }),
  ),
  fault(
    'session-keys-swapped',
    { breaks: ['PV-M3-01'], story: 'Read and Write are taken from the accessory’s point of view' },
    (ok) => ({
      sessionKeys(shared) {
        const { toAccessory, toController } = ok.sessionKeys(shared);
        return { toAccessory: toController, toController: toAccessory };
      },
    }),
  ),
  fault(
    'unknown-controller-accepted',
    { breaks: ['PV-M3-02'], story: 'a lookup that finds nothing skips the signature check' },
    (ok) => ({ signatureHolds: (claim) => claim.ltpk === undefined || ok.signatureHolds(claim) }),
  ),
  fault(
    'unknown-controller-http-400',
    { breaks: ['PV-M3-02'], fieldBug: 40, story: 'an unknown controller is treated as a malformed request' },
    (ok) => ({
      status: (reply) =>
        reply.step === 'verify-m4' && reply.known === false && !succeeds(reply) ? 400 : ok.status(reply),
    }),
  ),
  fault(
    'verify-signature-unchecked',
    { breaks: ['PV-M3-03'], fieldBug: 105, story: 'the signature of a known controller is never verified' },
    (ok) => ({
      signatureHolds: (claim) =>
        (claim.step === 'verify-m3' && claim.ltpk !== undefined) || ok.signatureHolds(claim),
    }),
  ),
  fault(
    'any-paired-key-verifies',
    {
      breaks: ['PV-M3-02', 'PV-M3-03'],
      story: 'the signature is tried with every stored key, and whose it was is not asked',
    },
    (ok) => ({
      signatureHolds: (claim) =>
        ok.signatureHolds(claim) ||
        (claim.step === 'verify-m3' &&
          claim.pairings.some(({ ltpk }) => ok.signatureHolds({ ...claim, ltpk }))),
    }),
  ),
  fault(
    'first-key-is-a-master-key',
    { breaks: ['PV-M3-03'], story: 'what the key does not verify is tried with that of the first pairing' },
    (ok) => ({
      signatureHolds: (claim) =>
        ok.signatureHolds(claim) ||
        (claim.step === 'verify-m3' &&
          claim.ltpk !== undefined &&
          ok.signatureHolds({ ...claim, ltpk: claim.pairings[0]?.ltpk })),
    }),
  ),
];

export const ephemeralKeys: readonly Fault[] = [
  fault(
    'verify-key-made-in-the-factory',
    {
      breaks: ['PV-M2-02', 'PV-STATE-02'],
      story: 'the X25519 key pair is made once, beside the long-term one',
    },
    () => ({ drawEphemeral: () => new Uint8Array(Length.curveKey).fill(0x42) }),
  ),
  fault(
    'verify-key-of-the-connection',
    {
      breaks: ['PV-M2-02'],
      story: 'the X25519 key pair is made when the connection comes, not when M1 does',
    },
    (ok) => ({ drawEphemeral: (draw) => draw.previous ?? ok.drawEphemeral(draw) }),
  ),
  fault(
    'verify-keys-begin-anew',
    { breaks: ['PV-M2-02'], story: 'the generator of keys is seeded with a constant at every start' },
    () => ({ drawEphemeral: ({ drawn }) => sha512(utf8(`key ${drawn}`)).subarray(0, Length.curveKey) }),
  ),
  fault(
    'verify-key-never-filled',
    { breaks: ['PV-M2-02'], story: 'M2 is written before the key pair is made: 32 zero bytes' },
    (ok) => ({
      beforeSending: (reply) =>
        reply.step === 'verify-m2'
          ? withItem(ok.beforeSending(reply), tlv(TlvType.PublicKey, zeros))
          : ok.beforeSending(reply),
    }),
  ),
];
