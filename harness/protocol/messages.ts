import type { Bytes } from './bytes.js';
import { Method, TlvType } from './constants.js';
import { type TlvItem, integerValue, tlv } from './tlv8.js';

/** Each pairing message as the list of its items, before encoding or sealing; both roles build theirs here. */

/** `flags` as a number of the least bytes it takes, or as bytes (seed 002 §2.3). */
export function setupM1(method: number = Method.PairSetup, flags?: number | Bytes): TlvItem[] {
  const items = [tlv(TlvType.Method, method), tlv(TlvType.State, 1)];
  if (flags === undefined) return items;
  return [...items, tlv(TlvType.Flags, typeof flags === 'number' ? integerValue(flags) : flags)];
}

/** B up to 384 bytes, salt 16 bytes (seed 002 §2.4); Flags where a split Pair Setup is granted. */
export function setupM2(B: Bytes, salt: Bytes, flags?: number): TlvItem[] {
  const items = [tlv(TlvType.State, 2), tlv(TlvType.PublicKey, B), tlv(TlvType.Salt, salt)];
  return flags === undefined ? items : [...items, tlv(TlvType.Flags, integerValue(flags))];
}

/** A 384 bytes, proof 64 bytes (seed 002 §2.5). */
export function setupM3(A: Bytes, proof: Bytes): TlvItem[] {
  return [tlv(TlvType.State, 3), tlv(TlvType.PublicKey, A), tlv(TlvType.Proof, proof)];
}

/** Proof 64 bytes; EncryptedData where an authentication coprocessor signs (seed 001). */
export function setupM4(proof: Bytes, authentication?: Bytes): TlvItem[] {
  const items = [tlv(TlvType.State, 4), tlv(TlvType.Proof, proof)];
  return authentication === undefined ? items : [...items, tlv(TlvType.EncryptedData, authentication)];
}

/** Sub-TLV of M4: signature 128 or 64 bytes, certificate DER (seed 001). */
export function authenticationItems(signature: Bytes, certificate: Bytes): TlvItem[] {
  return [tlv(TlvType.Signature, signature), tlv(TlvType.Certificate, certificate)];
}

/** M5 and M6 of Pair Setup, M3 of Pair Verify: a State and what was sealed. */
export function sealedMessage(state: number, encryptedData: Bytes): TlvItem[] {
  return [tlv(TlvType.State, state), tlv(TlvType.EncryptedData, encryptedData)];
}

/** Sub-TLV of M5 and M6: who I am, signed (seed 002 §2.7, §2.8). */
export function identityItems(id: Bytes, ltpk: Bytes, signature: Bytes): TlvItem[] {
  return [tlv(TlvType.Identifier, id), tlv(TlvType.PublicKey, ltpk), tlv(TlvType.Signature, signature)];
}

export function verifyM1(publicKey: Bytes): TlvItem[] {
  return [tlv(TlvType.State, 1), tlv(TlvType.PublicKey, publicKey)];
}

export function verifyM2(publicKey: Bytes, encryptedData: Bytes): TlvItem[] {
  return [
    tlv(TlvType.State, 2),
    tlv(TlvType.PublicKey, publicKey),
    tlv(TlvType.EncryptedData, encryptedData),
  ];
}

/** Sub-TLV of Pair Verify M2 and M3 (seed 002 §3.3, §3.4). */
export function proofItems(id: Bytes, signature: Bytes): TlvItem[] {
  return [tlv(TlvType.Identifier, id), tlv(TlvType.Signature, signature)];
}

/** Only a State: M4 of Pair Verify, success of Add and Remove. */
export function stateOnly(state: number): TlvItem[] {
  return [tlv(TlvType.State, state)];
}

export function errorReply(state: number, error: number): TlvItem[] {
  return [tlv(TlvType.State, state), tlv(TlvType.Error, error)];
}

export function listPairings(): TlvItem[] {
  return [tlv(TlvType.State, 1), tlv(TlvType.Method, Method.ListPairings)];
}

/** LTPK 32 bytes, permissions one byte (seed 002 §7.1). */
export function addPairing(id: Bytes, ltpk: Bytes, permissions: number): TlvItem[] {
  return [
    tlv(TlvType.State, 1),
    tlv(TlvType.Method, Method.AddPairing),
    tlv(TlvType.Identifier, id),
    tlv(TlvType.PublicKey, ltpk),
    tlv(TlvType.Permissions, permissions),
  ];
}

export function removePairing(id: Bytes): TlvItem[] {
  return [tlv(TlvType.State, 1), tlv(TlvType.Method, Method.RemovePairing), tlv(TlvType.Identifier, id)];
}

/** One entry of a list reply (seed 002 §7.3, erratum E16). */
export function pairingEntry(id: Bytes, ltpk: Bytes, permissions: number): TlvItem[] {
  return [tlv(TlvType.Identifier, id), tlv(TlvType.PublicKey, ltpk), tlv(TlvType.Permissions, permissions)];
}
