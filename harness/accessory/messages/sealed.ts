import {
  type Bytes,
  type Identity,
  type Random,
  type TlvItem,
  encodeTlv,
  isSmallOrder,
  labelNonce,
  signedInfo,
} from '../../protocol/index.js';
import { open, seal, sign, verifySignature } from '../crypto.js';
import type { Pairing } from '../facts.js';

/** A message of ours that carries EncryptedData. */
export type SealingStep = 'setup-m4' | 'setup-m6' | 'verify-m2';

/** EncryptedData of a pairing message. */
export interface SealedData {
  readonly step: 'setup-m5' | 'verify-m3';
  /** 32 bytes. */
  readonly key: Bytes;
  /** 12 bytes. */
  readonly nonce: Bytes;
  readonly sealed: Bytes;
  /** What the key is derived from: K (64 bytes), or the X25519 shared secret (32). */
  readonly secret: Bytes;
}

/** What the accessory signs: three parts, one after the other. */
export interface SignedParts {
  readonly step: 'setup-m6' | 'verify-m2';
  /** AccessoryX, or the accessory's ephemeral key; 32 bytes. */
  readonly first: Bytes;
  readonly id: Bytes;
  /** LTPK, or the controller's ephemeral key; 32 bytes. */
  readonly last: Bytes;
}

/** A signature in Pair Setup M5 or Pair Verify M3 and what it is checked with. */
export interface SignatureClaim {
  readonly step: 'setup-m5' | 'verify-m3';
  /** 32 bytes; undefined when no pairing has the identifier given (Pair Verify only). */
  readonly ltpk: Bytes | undefined;
  readonly info: Bytes;
  readonly signature: Bytes;
  /** K of Pair Setup, or the shared secret of Pair Verify. */
  readonly secret: Bytes;
  readonly pairings: readonly Pairing[];
}

/** Whoever signs our messages. */
interface Signer {
  readonly behaviour: SealedDecisions;
  readonly identity: Identity;
  readonly random: Random;
}

/** Our identifier, and the signature over `first`, it and `last` (seed 002 §2.8, §3.3). */
export function prove(
  { behaviour, identity, random }: Signer,
  step: SignedParts['step'],
  first: Bytes,
  last: Bytes,
): { readonly id: Bytes; readonly signature: Bytes } {
  const id = behaviour.ownIdentifier(step, identity.id);
  const info = behaviour.signedInfo({ step, first, id, last });
  return { id, signature: sign(behaviour.signingKey(step, identity.ltsk, random), info) };
}

/** EncryptedData of a message of ours; `key` is 32 bytes. */
export function sealItems(
  behaviour: SealedDecisions,
  step: SealingStep,
  key: Bytes,
  items: readonly TlvItem[],
): Bytes {
  const plain = encodeTlv(behaviour.beforeSealing(step, items));
  return seal(key, labelNonce(behaviour.nonceLabel(step)), plain);
}

/** Signatures and sealed sub-TLVs. */
export interface SealedDecisions {
  /** The accessory's own identifier as it goes into a message and its signature. */
  ownIdentifier(step: SignedParts['step'], id: Bytes): Bytes;
  /** The seed the accessory signs with, 32 bytes. */
  signingKey(step: SignedParts['step'], ltsk: Bytes, random: Random): Bytes;
  /** What the accessory signs (seed 002 §2.8, §3.3). */
  signedInfo(parts: SignedParts): Bytes;
  signatureHolds(claim: SignatureClaim): boolean;
  /** True for an LTPK under which anybody's signature holds: refused in M5 and Add. */
  isWeakKey(ltpk: Bytes): boolean;
  /** The eight characters of the nonce our EncryptedData is sealed with (seed 002 §5). */
  nonceLabel(step: SealingStep): string;
  /** EncryptedData opened, or undefined when its tag does not match. */
  openSealed(data: SealedData): Bytes | undefined;
  /** The items of M6 or Pair Verify M2 before they are sealed. */
  beforeSealing(step: SealingStep, items: readonly TlvItem[]): readonly TlvItem[];
}

export const healthySealing: SealedDecisions = {
  ownIdentifier: (_step, id) => id,
  signingKey: (_step, ltsk) => ltsk,
  signedInfo: ({ first, id, last }) => signedInfo(first, id, last),
  signatureHolds: ({ ltpk, info, signature }) => ltpk !== undefined && verifySignature(ltpk, info, signature),
  isWeakKey: isSmallOrder,
  nonceLabel: (step) => ({ 'setup-m4': 'PS-Msg04', 'setup-m6': 'PS-Msg06', 'verify-m2': 'PV-Msg02' })[step],
  openSealed: ({ key, nonce, sealed }) => open(key, nonce, sealed),
  beforeSealing: (_step, items) => items,
};
