/** Names and numbers of the pairing protocol (seed documents 001 and 002; HAP R2 §5.16). */

export const TlvType = {
  Method: 0x00,
  Identifier: 0x01,
  Salt: 0x02,
  PublicKey: 0x03,
  Proof: 0x04,
  EncryptedData: 0x05,
  State: 0x06,
  Error: 0x07,
  RetryDelay: 0x08,
  Certificate: 0x09,
  Signature: 0x0a,
  Permissions: 0x0b,
  FragmentData: 0x0c,
  FragmentLast: 0x0d,
  SessionID: 0x0e,
  Flags: 0x13,
  Separator: 0xff,
} as const;
export type TlvName = keyof typeof TlvType;

export const Method = {
  PairSetup: 0,
  PairSetupWithAuth: 1,
  PairVerify: 2,
  AddPairing: 3,
  RemovePairing: 4,
  ListPairings: 5,
  PairResume: 6,
} as const;
export type MethodName = keyof typeof Method;

export const TlvError = {
  Unknown: 1,
  Authentication: 2,
  Backoff: 3,
  MaxPeers: 4,
  MaxTries: 5,
  Unavailable: 6,
  Busy: 7,
} as const;
export type TlvErrorName = keyof typeof TlvError;

/** Pairing flags, a little-endian integer of 0 to 4 bytes (seed 002 §2.3). */
export const PairingFlag = {
  Transient: 1 << 4,
  Split: 1 << 24,
} as const;

/** Bit 0 decides (seed 002 §6.1). */
export const Permission = {
  User: 0x00,
  Admin: 0x01,
} as const;

/** Byte lengths fixed by the protocol. */
export const Length = {
  salt: 16,
  srpPublicKey: 384,
  proof: 64,
  ltpk: 32,
  ltsk: 32,
  signature: 64,
  curveKey: 32,
  tag: 16,
  frame: 1024,
} as const;

/** Failed attempts after which Pair Setup answers MaxTries (seed 002 §8). */
export const MAX_TRIES = 100;
/** Pairings an accessory must be able to hold (seed 000). */
export const MAX_PAIRINGS = 16;
/** The user name of SRP in Pair Setup (seed 002 §2.2). */
export const SRP_USER = 'Pair-Setup';

/** The names of a table by number; of two names the first. */
function byNumber(table: Readonly<Record<string, number>>): ReadonlyMap<number, string> {
  return new Map(
    Object.entries(table)
      .map(([name, number]) => [number, name] as const)
      .reverse(),
  );
}
const typeNames = byNumber(TlvType);
const methodNames = byNumber(Method);
const errorNames = byNumber(TlvError);

/** The name of a TLV type, or `0x7f` when the protocol does not define it. */
export function tlvTypeName(type: number): string {
  return typeNames.get(type) ?? `0x${type.toString(16).padStart(2, '0')}`;
}
export function methodName(method: number): string {
  return methodNames.get(method) ?? `Method ${method}`;
}
export function tlvErrorName(code: number): string {
  return errorNames.get(code) ?? `Error ${code}`;
}
