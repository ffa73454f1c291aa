import { type Bytes, Length, type TlvMessage, TlvType, splitEntries } from '../protocol/index.js';
import type { Finding } from './finding.js';

/** One entry of a pairings list as the accessory reports it. */
export interface ListedPairing {
  readonly id: Bytes;
  readonly ltpk: Bytes;
  readonly permissions: number;
}

export interface PairingsList {
  readonly entries: readonly ListedPairing[];
  readonly findings: readonly Finding[];
}

/** Reads the reply to List Pairings as a set of entries (seed 002 §7.3; State once, erratum E16); no reply is no entries. */
export function readPairings(reply: TlvMessage | undefined): PairingsList {
  const findings: Finding[] = [];
  const entries: ListedPairing[] = [];
  for (const items of reply === undefined ? [] : splitEntries(reply)) {
    const value = (type: number): Bytes | undefined => items.find((item) => item.type === type)?.value;
    const id = value(TlvType.Identifier);
    const ltpk = value(TlvType.PublicKey);
    const permissions = value(TlvType.Permissions);
    if (id === undefined && ltpk === undefined && permissions === undefined) continue;
    const number = entries.length + 1;
    const wrong = (what: string): void => {
      findings.push({ requirement: 'PAIRINGS-01', what: `entry ${number}: ${what}`, fatal: false });
    };
    if (id === undefined) wrong('no Identifier');
    if (ltpk?.length !== Length.ltpk)
      wrong(ltpk === undefined ? 'no PublicKey' : `PublicKey is ${ltpk.length} bytes, not 32`);
    if (permissions?.length !== 1)
      wrong(
        permissions === undefined ? 'no Permissions' : `Permissions is ${permissions.length} bytes, not 1`,
      );
    entries.push({
      id: id ?? new Uint8Array(0),
      ltpk: ltpk ?? new Uint8Array(0),
      permissions: permissions?.[0] ?? -1,
    });
  }
  return { entries, findings };
}
