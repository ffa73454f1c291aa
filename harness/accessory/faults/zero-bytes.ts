import { type Bytes, Length, TlvType } from '../../protocol/index.js';
import { type Fault, fault } from './fault.js';

/** What a function for texts copies into memory that was cleared: everything up to the first zero byte. */
function copiedAsText(value: Bytes): Bytes {
  const copy = new Uint8Array(value.length);
  const end = value.indexOf(0);
  copy.set(end < 0 ? value : value.subarray(0, end));
  return copy;
}

/** Values that are taken for texts or numbers, which they are not: all goes well until one holds a zero byte. */
export const zeroByteFaults: readonly Fault[] = [
  fault(
    'proof-with-a-leading-zero-is-none',
    { breaks: ['PS-M3-19'], story: 'whether there is a proof is told by its first byte' },
    (ok) => ({ proofMatches: (claim) => claim.received[0] !== 0 && ok.proofMatches(claim) }),
  ),
  fault(
    'm5-key-copied-as-text',
    { breaks: ['PS-M5-18'], fieldBug: 149, story: 'the LTPK of M5 is copied up to its first zero byte' },
    (ok) => ({
      controllerFrom(sub) {
        const controller = ok.controllerFrom(sub);
        return controller && { ...controller, ltpk: copiedAsText(controller.ltpk) };
      },
    }),
  ),
  fault(
    'm5-signature-read-as-number',
    {
      breaks: ['PS-M5-18'],
      story: 'the signature of M5 passes through a number, and is 63 bytes where it begins with a zero byte',
    },
    (ok) => ({
      controllerFrom: (sub) => (sub.get(TlvType.Signature)?.[0] === 0 ? undefined : ok.controllerFrom(sub)),
    }),
  ),
  fault(
    'm5-key-read-as-number',
    {
      breaks: ['PS-M5-18'],
      story: 'the LTPK of M5 passes through a number, and is 31 bytes where it begins with a zero byte',
    },
    (ok) => ({
      controllerFrom: (sub) => (sub.get(TlvType.PublicKey)?.[0] === 0 ? undefined : ok.controllerFrom(sub)),
    }),
  ),
  fault(
    'verify-key-read-as-number',
    {
      breaks: ['PV-M1-07'],
      story: 'the ephemeral key is a number of 32 bytes, unless it begins with a zero byte',
    },
    (ok) => ({
      curveKeyFrom(m1) {
        const key = ok.curveKeyFrom(m1);
        return key?.[0] === 0 ? undefined : key;
      },
    }),
  ),
  fault(
    'verify-key-measured-as-text',
    {
      breaks: ['PV-M1-07'],
      fieldBug: 149,
      story: 'the length of the ephemeral key is that of a text: one in eight is too short',
    },
    (ok) => ({
      curveKeyFrom(m1) {
        const key = ok.curveKeyFrom(m1);
        return key?.includes(0) === true ? undefined : key;
      },
    }),
  ),
  fault(
    'add-key-copied-as-text',
    {
      breaks: ['PAIRINGS-27'],
      fieldBug: 149,
      story: 'the LTPK of an Add is copied up to its first zero byte',
    },
    (ok) => ({
      additionFrom(message) {
        const pairing = ok.additionFrom(message);
        return pairing && { ...pairing, ltpk: copiedAsText(pairing.ltpk) };
      },
    }),
  ),
  fault(
    'add-key-without-its-zeros',
    {
      breaks: ['PAIRINGS-27'],
      story: 'zero bytes at both ends of a key are taken for padding, and what is left is too short',
    },
    (ok) => ({
      additionFrom(message) {
        const pairing = ok.additionFrom(message);
        const ends = pairing && [pairing.ltpk[0], pairing.ltpk[Length.ltpk - 1]];
        return ends?.includes(0) === true ? undefined : pairing;
      },
    }),
  ),
];
