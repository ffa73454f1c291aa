import {
  type Bytes,
  type EphemeralKeys,
  type Identity,
  Length,
  type Peer,
  type Random,
  type SessionKeys,
  type TlvItem,
  type TlvMessage,
  TlvType,
  type ZeroByte,
  controlKeys,
  decodeTlv,
  deriveKey,
  encodeTlv,
  ephemeralKeys,
  equal,
  hex,
  hkdfSha512,
  howSealed,
  howSigned,
  identifierForms,
  labelNonce,
  open,
  proofItems,
  seal,
  sealedMessage,
  sharedSecret,
  sign,
  signedInfo,
  text,
  verifyM1,
  verifySignature,
} from '../protocol/index.js';
import { type Edit, applyEdit } from './edits.js';
import type { Finding } from './finding.js';

export interface VerifyM2 {
  readonly publicKey: Bytes | undefined;
  /** The opened sub-TLV; undefined when it does not open. */
  readonly items: TlvMessage | undefined;
  readonly findings: readonly Finding[];
}

/** How Pair Verify M3 may depart from the rule. */
export interface VerifyM3Options {
  readonly key?: Bytes;
  readonly label?: string;
  /** The 12 bytes of the nonce, in the place of four zero bytes and the label. */
  readonly nonce?: Bytes;
  /** An identifier that is not ours, in the sub-TLV and under the signature. */
  readonly id?: Bytes;
  /** Makes the signature instead of LTSK over own ephemeral key | id | accessory's ephemeral key. */
  readonly signature?: (parts: {
    identity: Identity;
    own: Bytes;
    accessory: Bytes;
    accessorySignature: Bytes | undefined;
  }) => Bytes;
  readonly sub?: Edit;
}

/** How M2 was sealed, where it does not open: what departs from the rule, in words. */
function howM2Opens(sealed: Bytes, shared: Bytes): string {
  const how = howSealed(sealed, {
    label: 'Pair-Verify-Encrypt',
    nonce: 'PV-Msg02',
    secret: ['the shared secret', shared],
  });
  return how === undefined ? '' : `: it opens with ${how}`;
}

/** Over what the Signature of M2 was made, where it does not hold: in words. */
function howM2Holds(accessory: Peer, signature: Bytes, theirs: Bytes, id: Bytes, own: Bytes): string {
  const how = howSigned(accessory.ltpk, signature, [
    { name: 'accessory’s key', value: theirs, others: [['accessory’s LTPK', accessory.ltpk]] },
    { name: 'Identifier', value: id, others: identifierForms(id) },
    { name: 'controller’s key', value: own },
  ]);
  return how === undefined ? '' : `: it holds over ${how}`;
}

/** The controller's side of one Pair Verify exchange (seed 002 §3): messages out, messages in, no socket. */
export class PairVerifyController {
  readonly ephemeral: Pick<EphemeralKeys, 'publicKey'>;
  private readonly secret: Bytes | undefined;
  private accessoryKey: Bytes | undefined;
  private accessorySignature: Bytes | undefined;
  private shared: Bytes | undefined;
  /** The sub-TLV of the last M3 before it was sealed. */
  lastSub: readonly TlvItem[] = [];

  constructor(
    readonly identity: Identity,
    /** What Pair Setup taught about the accessory; undefined while housekeeping after a setup that proved nothing. */
    readonly accessory: Peer | undefined,
    random: Random,
    /** A PublicKey of low order for M1: whatever the accessory draws, the shared secret is 32 zero bytes. */
    lowOrder?: Bytes,
    /** Where the ephemeral key has a zero byte; as it is drawn unless given, and one in eight has one. */
    zeroByte?: ZeroByte,
  ) {
    const { secret, publicKey } = ephemeralKeys(random, undefined, zeroByte);
    this.ephemeral = { publicKey: lowOrder ?? publicKey };
    this.secret = lowOrder === undefined ? secret : undefined;
  }

  m1(): TlvItem[] {
    return verifyM1(this.ephemeral.publicKey);
  }

  /** Opens M2 and checks that it proves the identity learnt in Pair Setup (seed 002 §3.3). */
  readM2(m2: TlvMessage): VerifyM2 {
    const findings: Finding[] = [];
    const fail = (requirement: string, what: string): void => {
      findings.push({ requirement, what, fatal: true });
    };
    const publicKey = m2.get(TlvType.PublicKey);
    const sealed = m2.joined(TlvType.EncryptedData);
    if (publicKey === undefined || publicKey.length !== Length.curveKey)
      fail(
        'PV-M1-01',
        publicKey === undefined ? 'M2 has no PublicKey' : `PublicKey is ${publicKey.length} bytes, not 32`,
      );
    if (sealed === undefined) fail('PV-M1-01', 'M2 has no EncryptedData');
    if (publicKey === undefined || sealed === undefined || findings.length > 0)
      return { publicKey, items: undefined, findings };
    this.accessoryKey = publicKey;
    this.shared =
      this.secret === undefined ? new Uint8Array(Length.curveKey) : sharedSecret(this.secret, publicKey);
    if (this.shared === undefined) {
      fail('PV-M2-01', 'the PublicKey of M2 is a low-order point');
      return { publicKey, items: undefined, findings };
    }
    const plain = open(deriveKey('Pair-Verify-Encrypt', this.shared), labelNonce('PV-Msg02'), sealed);
    if (plain === undefined) {
      fail(
        'PV-M2-01',
        `EncryptedData of M2 (${sealed.length} bytes) does not open with the Pair-Verify-Encrypt key and PV-Msg02${howM2Opens(sealed, this.shared)}`,
      );
      return { publicKey, items: undefined, findings };
    }
    const items = decodeTlv(plain);
    const id = items.get(TlvType.Identifier);
    const signature = items.get(TlvType.Signature);
    this.accessorySignature = signature;
    if (items.defect !== undefined) fail('PV-M2-01', `the sub-TLV of M2 is malformed: ${items.defect}`);
    if (id === undefined) fail('PV-M2-01', 'M2 holds no Identifier');
    if (signature?.length !== Length.signature)
      fail(
        'PV-M2-01',
        signature === undefined
          ? 'M2 holds no Signature'
          : `the Signature in M2 is ${signature.length} bytes, not 64`,
      );
    if (id !== undefined && signature !== undefined && this.accessory !== undefined) {
      const { accessory } = this;
      if (!equal(id, accessory.id))
        fail(
          'PV-M2-01',
          `the Identifier in M2 is "${text(id)}" (${hex(id)}), in M6 it was "${text(accessory.id)}" (${hex(accessory.id)})`,
        );
      const own = this.ephemeral.publicKey;
      if (!verifySignature(accessory.ltpk, signedInfo(publicKey, id, own), signature))
        fail(
          'PV-M2-01',
          `the Signature in M2 does not hold with the LTPK of M6 over accessory’s key | Identifier | controller’s key${howM2Holds(accessory, signature, publicKey, id, own)}`,
        );
    }
    return { publicKey, items, findings };
  }

  private get keys(): { shared: Bytes; accessory: Bytes } {
    if (this.shared === undefined || this.accessoryKey === undefined)
      throw new Error('Pair Verify: M2 has not been read, or its key was unusable');
    return { shared: this.shared, accessory: this.accessoryKey };
  }

  /** M3, by the rule or with the departures asked for (seed 002 §3.4). */
  m3(options: VerifyM3Options = {}): TlvItem[] {
    const { shared, accessory } = this.keys;
    const identity = options.id === undefined ? this.identity : { ...this.identity, id: options.id };
    const own = this.ephemeral.publicKey;
    const signature =
      options.signature?.({ identity, own, accessory, accessorySignature: this.accessorySignature }) ??
      sign(identity.ltsk, signedInfo(own, identity.id, accessory));
    const sub = applyEdit(proofItems(identity.id, signature), options.sub);
    this.lastSub = sub;
    const key = options.key ?? deriveKey('Pair-Verify-Encrypt', shared);
    const nonce = options.nonce ?? labelNonce(options.label ?? 'PV-Msg03');
    return sealedMessage(3, seal(key, nonce, encodeTlv(sub)));
  }

  /** The 8 bytes by which the session could be resumed where Pair Resume exists: over BLE. */
  resumeSessionId(): Bytes {
    const label = 'Pair-Verify-ResumeSessionID';
    return hkdfSha512(this.keys.shared, `${label}-Salt`, `${label}-Info`, 8);
  }

  /** Keys of the secured session that starts with the first byte after M4. */
  sessionKeys(): SessionKeys {
    return controlKeys(this.keys.shared);
  }
}
