import {
  type Bytes,
  type ClientSession,
  type Forgery,
  type GroundValue,
  type Identity,
  Length,
  type Peer,
  type Random,
  type SrpConvention,
  type TlvItem,
  type TlvMessage,
  TlvType,
  clientSession,
  concat,
  decodeTlv,
  deriveKey,
  encodeTlv,
  equal,
  forgedSession,
  fromInteger,
  groundExponent,
  hasLeadingZero,
  hex,
  howProven,
  howSealed,
  howSigned,
  identifierForms,
  identityItems,
  isAccessoryProof,
  isZero,
  labelNonce,
  open,
  publicKeyDefect,
  seal,
  sealedMessage,
  setupM1,
  setupM3,
  sign,
  signedInfo,
  stripLeadingZeros,
  toInteger,
  utf8,
  verifySignature,
} from '../protocol/index.js';
import { type Edit, applyEdit } from './edits.js';
import type { Finding } from './finding.js';
import { type Authentication, readAuthentication } from './mfi.js';

/** What M2 holds, as far as it could be read. */
export interface SetupM2 {
  readonly salt: Bytes | undefined;
  readonly B: Bytes | undefined;
  readonly findings: readonly Finding[];
}

export interface SetupM4 {
  readonly proof: Bytes | undefined;
  /** EncryptedData, where there is some: the answer to PairSetupWithAuth. */
  readonly authentication: Authentication | undefined;
  readonly findings: readonly Finding[];
}

export interface SetupM6 {
  /** The opened sub-TLV; undefined when EncryptedData is missing or does not open. */
  readonly items: TlvMessage | undefined;
  /** The accessory's id and LTPK as claimed, proven only when there are no findings. */
  readonly accessory: Peer | undefined;
  readonly findings: readonly Finding[];
}

/** How M5 may depart from the rule; everything left out is as the protocol says. */
export interface M5Options {
  /** Seals instead of the Pair-Setup-Encrypt key, 32 bytes. */
  readonly key?: Bytes;
  /** Nonce label instead of `PS-Msg05`. */
  readonly label?: string;
  /** The whole 12-byte nonce instead of four zero bytes and the label. */
  readonly nonce?: Bytes;
  /** AAD, where there must be none. */
  readonly aad?: (plaintext: Bytes) => Bytes;
  /** Plaintext that stands in the place of the sub-TLV. */
  readonly plaintext?: Bytes;
  /** Stands for K in the derivation of key and ControllerX; for M5 without a finished SRP exchange. */
  readonly secret?: Bytes;
  /** Makes the signature instead of LTSK over ControllerX | id | LTPK. */
  readonly signature?: (parts: { x: Bytes; K: Bytes; identity: Identity }) => Bytes;
  /** Changes the sub-TLV before it is sealed. */
  readonly sub?: Edit;
}

/**
 * Reads M2 without judging more than a controller must: findings that make it impossible to go on are `fatal`.
 * Source: seed 002 §2.4.
 */
export function readSetupM2(m2: TlvMessage): SetupM2 {
  const findings: Finding[] = [];
  const salt = m2.get(TlvType.Salt);
  const B = m2.joined(TlvType.PublicKey);
  if (salt === undefined) findings.push({ requirement: 'PS-M1-01', what: 'M2 has no Salt', fatal: true });
  else if (salt.length !== Length.salt)
    findings.push({ requirement: 'PS-M1-02', what: `Salt is ${salt.length} bytes, not 16`, fatal: false });
  if (B === undefined) findings.push({ requirement: 'PS-M1-01', what: 'M2 has no PublicKey', fatal: true });
  else {
    const defect = publicKeyDefect(B);
    // A controller that went on with B = 0 mod N could be made to agree on a known key (RFC 5054 §2.5.3).
    if (defect !== undefined) findings.push({ requirement: 'PS-M1-03', what: defect, fatal: true });
  }
  return { salt, B, findings };
}

/** How SRP departs from the rule. */
export interface SrpOptions {
  readonly convention?: SrpConvention;
  /** The user name; `Pair-Setup` unless given. */
  readonly user?: string;
  /** What is to start with a zero byte, where an ordinary flow takes care that nothing does. */
  readonly leadingZero?: GroundValue;
}

/** A number at the front of 384 bytes, and zero bytes behind it. */
function leftAligned(value: Bytes): Bytes {
  const significant = stripLeadingZeros(value);
  return concat(significant, new Uint8Array(Math.max(0, Length.srpPublicKey - significant.length)));
}

/** The controller's side of one Pair Setup exchange: messages out, messages in, no socket. */
export class PairSetupController {
  private srp: ClientSession | undefined;
  /** The sub-TLV of the last M5 before it was sealed. */
  lastSub: readonly TlvItem[] = [];

  constructor(
    /** Setup code with dashes; it may be told only when M2 has come. */
    public code: string,
    /** Who pairs: it is not told before M5. */
    public identity: Identity,
    private readonly random: Random,
    private readonly srpOptions: SrpOptions = {},
  ) {}

  /** M2 was answered: there is a session. */
  get answered(): boolean {
    return this.srp !== undefined;
  }

  m1(method?: number, flags?: number | Bytes): TlvItem[] {
    return setupM1(method, flags);
  }

  /** The SRP session; only after `answer`. */
  get session(): ClientSession {
    if (this.srp === undefined) throw new Error('Pair Setup: M2 has not been answered yet');
    return this.srp;
  }

  /**
   * Computes the SRP session for a salt and B. The private exponent is drawn until A, S and K start with a non-zero
   * byte, because conventions differ there and an ordinary flow must not fail one time in 256 (errata E04, E05); or
   * until exactly the one does that is to.
   */
  answer(salt: Bytes, B: Bytes): ClientSession {
    const { leadingZero, ...others } = this.srpOptions;
    const base = { password: this.code, salt, B, ...others };
    const draw = (): bigint => toInteger(this.random.bytes(32));
    if (leadingZero !== undefined) {
      const a = groundExponent({ ...base, a: draw() }, leadingZero);
      return (this.srp = clientSession({ ...base, a }));
    }
    do this.srp = clientSession({ ...base, a: draw() });
    while (hasLeadingZero(this.srp));
    return this.srp;
  }

  /** In the place of `answer`: goes on from M2 without the code, with a guess of K. */
  forge(salt: Bytes, B: Bytes, forgery: Forgery): void {
    this.srp = forgedSession(salt, B, forgery);
  }

  m3(): TlvItem[] {
    return setupM3(this.session.A, this.session.M1);
  }

  /** Compares the accessory's proof (seed 002 §2.6). */
  readM4(m4: TlvMessage): SetupM4 {
    const proof = m4.get(TlvType.Proof);
    const findings: Finding[] = [];
    if (proof === undefined) findings.push({ requirement: 'PS-M3-01', what: 'M4 has no Proof', fatal: true });
    else if (!isAccessoryProof(proof, this.session))
      findings.push({ requirement: 'PS-M3-03', what: this.whyNoProof(proof), fatal: true });
    const sealed = m4.joined(TlvType.EncryptedData);
    const authentication = sealed && readAuthentication(sealed, this.session.K);
    return { proof, authentication, findings };
  }

  /** What the Proof of M4 is in the place of the one that is due, where that is a known mistake. */
  private whyNoProof(proof: Bytes): string {
    const { A, M1, K, S } = this.session;
    const secret = fromInteger(S, Length.srpPublicKey);
    const what = 'the Proof of M4 is not H(A | M1 | K)';
    if (equal(proof, M1)) return `${what}: it is the proof of M3 sent back`;
    if (equal(proof, stripLeadingZeros(K))) return `${what}: it is K`;
    const how = howProven(proof, [
      {
        name: 'A',
        value: A,
        others: [
          ['A as hexadecimal text', utf8(hex(A))],
          ['A at the front of 384 bytes', leftAligned(A)],
        ],
      },
      { name: 'M1', value: M1, others: [['M1 as hexadecimal text', utf8(hex(M1))]] },
      {
        name: 'K',
        value: K,
        others: [
          ['S', secret],
          ['S without leading zero bytes', stripLeadingZeros(secret)],
          ['K as hexadecimal text', utf8(hex(K))],
        ],
      },
    ]);
    return how === undefined ? what : `${what}: it is H(${how})`;
  }

  /** How M6 was sealed, where it does not open: what departs from the rule, in words. */
  private howM6Opens(sealed: Bytes): string {
    const { K, S } = this.session;
    const secret = fromInteger(S, Length.srpPublicKey);
    const how = howSealed(sealed, {
      label: 'Pair-Setup-Encrypt',
      nonce: 'PS-Msg06',
      secret: ['K', K],
      others: [
        ['S', secret],
        ['S without leading zero bytes', stripLeadingZeros(secret)],
      ],
    });
    return how === undefined ? '' : `: it opens with ${how}`;
  }

  /** Over what the Signature of M6 was made, where it does not hold: in words. */
  private howM6Holds(ltpk: Bytes, signature: Bytes, id: Bytes): string {
    const { K } = this.session;
    const how = howSigned(ltpk, signature, [
      {
        name: 'AccessoryX',
        value: deriveKey('Pair-Setup-Accessory-Sign', K),
        others: [
          ['ControllerX', deriveKey('Pair-Setup-Controller-Sign', K)],
          ['the key Pair-Setup-Encrypt', deriveKey('Pair-Setup-Encrypt', K)],
          ['K', K],
        ],
      },
      { name: 'Identifier', value: id, others: identifierForms(id) },
      { name: 'LTPK', value: ltpk },
    ]);
    return how === undefined ? '' : `: it holds over ${how}`;
  }

  /** M5, by the rule or with the departures asked for (seed 002 §2.7). */
  m5(options: M5Options = {}): TlvItem[] {
    const K = options.secret ?? this.session.K;
    const { identity } = this;
    const x = deriveKey('Pair-Setup-Controller-Sign', K);
    const signature =
      options.signature?.({ x, K, identity }) ??
      sign(identity.ltsk, signedInfo(x, identity.id, identity.ltpk));
    const sub = applyEdit(identityItems(identity.id, identity.ltpk, signature), options.sub);
    this.lastSub = sub;
    const key = options.key ?? deriveKey('Pair-Setup-Encrypt', K);
    const plaintext = options.plaintext ?? encodeTlv(sub);
    const nonce = options.nonce ?? labelNonce(options.label ?? 'PS-Msg05');
    return sealedMessage(5, seal(key, nonce, plaintext, options.aad?.(plaintext)));
  }

  /** Opens M6 and checks the accessory's claim to its identity (seed 002 §2.8). */
  readM6(m6: TlvMessage): SetupM6 {
    const findings: Finding[] = [];
    const fail = (what: string, requirement = 'PS-M6-01'): void => {
      findings.push({ requirement, what, fatal: true });
    };
    const sealed = m6.joined(TlvType.EncryptedData);
    const plain =
      sealed && open(deriveKey('Pair-Setup-Encrypt', this.session.K), labelNonce('PS-Msg06'), sealed);
    if (plain === undefined) {
      fail(
        sealed === undefined
          ? 'M6 has no EncryptedData'
          : `EncryptedData of M6 (${sealed.length} bytes) does not open with the Pair-Setup-Encrypt key and PS-Msg06${this.howM6Opens(sealed)}`,
        'PS-M5-01',
      );
      return { items: undefined, accessory: undefined, findings };
    }
    const items = decodeTlv(plain);
    if (items.defect !== undefined) fail(`the sub-TLV of M6 is malformed: ${items.defect}`);
    for (const name of ['Identifier', 'PublicKey', 'Signature'] as const) {
      const count = items.all(TlvType[name]).length;
      if (count !== 1) fail(`M6 holds ${name} ${count} times, not once`);
    }
    const id = items.get(TlvType.Identifier);
    const ltpk = items.get(TlvType.PublicKey);
    const signature = items.get(TlvType.Signature);
    if (id === undefined || ltpk === undefined) return { items, accessory: undefined, findings };
    if (id.length === 0) fail('the Identifier in M6 is empty');
    if (ltpk.length !== Length.ltpk) fail(`the LTPK in M6 is ${ltpk.length} bytes, not 32`);
    // Some firmware sends an LTPK of zeros; a signature "by" such a low-order key can be forged by anyone.
    else if (isZero(ltpk)) fail('the LTPK in M6 is 32 zero bytes');
    if (signature !== undefined) {
      const x = deriveKey('Pair-Setup-Accessory-Sign', this.session.K);
      if (signature.length !== Length.signature)
        fail(`the Signature in M6 is ${signature.length} bytes, not 64`);
      else if (!verifySignature(ltpk, signedInfo(x, id, ltpk), signature))
        fail(
          `the Signature in M6 does not hold over AccessoryX | Identifier | LTPK${this.howM6Holds(ltpk, signature, id)}`,
        );
    }
    return { items, accessory: { id, ltpk }, findings };
  }
}
